"""What the documents say is what the project does."""

import re
import runpy

from examples import ROOT


def test_the_reference_of_the_configuration_is_the_schema():
    made = runpy.run_path(str(ROOT / "tools" / "document_config.py"))["reference"]()
    assert (ROOT / "config" / "README.md").read_text(encoding="utf-8") == made, "run `make docs`"


def test_every_link_between_documents_leads_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
