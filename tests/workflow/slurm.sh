#!/usr/bin/env bash
# A real Slurm of two nodes on this machine's loopback, from Debian's packages: slurm.sh start | stop
# Needs root.  It has a database, so that sacct knows every job; no systemd and no cgroups are needed.
# It refuses to touch a Slurm that it did not make.
set -euo pipefail

HOME_OF_IT=/var/lib/skipwise-slurm
CONF=/etc/slurm/slurm.conf
DBD_CONF=/etc/slurm/slurmdbd.conf
MARK="# made by skipwise for its tests"
MUNGE=$HOME_OF_IT/munge/socket
SQL=$HOME_OF_IT/sql/socket
export SLURM_CONF=$CONF
# By which stop knows the daemons.
export SKIPWISE_SLURM=$HOME_OF_IT

fail() { echo "slurm.sh: $*" >&2; exit 1; }

# Try a command for a minute.
patiently() {
    for _ in $(seq 120); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done
    fail "no answer to: $*; see $HOME_OF_IT/log"
}

# Start a daemon without this script's terminal and files.
background() {
    "$@" </dev/null >>"$HOME_OF_IT/log/daemons" 2>&1 &
    echo $! >>"$HOME_OF_IT/pids"
}

stop() {
    command -v scancel >/dev/null && [ -e $CONF ] && timeout 10 scancel --user="$(id -un)" 2>/dev/null || true
    for pid in $(tac $HOME_OF_IT/pids 2>/dev/null); do
        # A number may be another process's since the machine was started anew.
        tr '\0' ' ' 2>/dev/null <"/proc/$pid/environ" | grep -qF "SKIPWISE_SLURM=$HOME_OF_IT" || continue
        case "$(readlink "/proc/$pid/exe")" in
        */slurm* | */maria* | */munge*) kill "$pid"; timeout 20 tail --pid="$pid" -f /dev/null || kill -9 "$pid" ;;
        esac
    done
    rm -f $CONF $DBD_CONF
    rm -rf $HOME_OF_IT
    return 0
}

[ "$(id -u)" = 0 ] || fail "must run as root"
for file in $CONF $DBD_CONF; do
    [ ! -e $file ] || head -n 1 $file | grep -qF "$MARK" || fail "$file is not ours: this machine has a Slurm of its own"
done

case "${1:-}" in
stop) stop; exit ;;
start) stop ;;
*) fail "say start or stop" ;;
esac

missing=
for program in slurmctld slurmd slurmdbd munged mariadbd; do command -v $program >/dev/null || missing=$program; done
if [ -n "$missing" ]; then
    apt-get update -qq
    # Nothing may start by itself while it is installed.
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        slurm-wlm slurmdbd munge mariadb-server >/dev/null
fi

mkdir -p /etc/slurm $HOME_OF_IT/{log,run,state,munge,sql,node1,node2}
chown slurm $HOME_OF_IT/{log,run,state}
chown munge $HOME_OF_IT/munge && chmod 755 $HOME_OF_IT/munge
chown mysql $HOME_OF_IT/sql

# Who is who: munge.
keys=$HOME_OF_IT/munge-key && install -d -o munge -m 700 $keys
dd if=/dev/urandom of=$keys/key bs=128 count=1 status=none && chown munge $keys/key && chmod 600 $keys/key
background setpriv --reuid=munge --regid=munge --clear-groups munged --foreground --key-file=$keys/key --socket=$MUNGE \
    --pid-file=$keys/pid --log-file=$keys/log --seed-file=$keys/seed
patiently sh -c "munge -S $MUNGE -n | unmunge -S $MUNGE"

# What has run: MariaDB and slurmdbd.
mariadb-install-db --no-defaults --user=mysql --datadir=$HOME_OF_IT/sql/data --auth-root-authentication-method=socket \
    --auth-root-socket-user=root --skip-test-db >$HOME_OF_IT/log/sql-install 2>&1
background mariadbd --no-defaults --user=mysql --datadir=$HOME_OF_IT/sql/data --socket=$SQL --bind-address=127.0.0.1 --port=27802 \
    --skip-name-resolve --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --performance-schema=OFF
patiently mariadb --no-defaults --socket=$SQL --execute "select 1"
password=$(head -c 18 /dev/urandom | base64 | tr -d '+/')
mariadb --no-defaults --socket=$SQL --execute "create database slurm_acct_db;
    create user 'slurm'@'127.0.0.1' identified by '$password'; grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1'"
(umask 077; cat >$DBD_CONF <<END
$MARK
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=27801
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket=$MUNGE
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=27802
StorageUser=slurm
StoragePass=$password
StorageLoc=slurm_acct_db
PidFile=$HOME_OF_IT/run/slurmdbd.pid
LogFile=$HOME_OF_IT/log/slurmdbd
END
)
chown slurm $DBD_CONF

cat >$CONF <<END
$MARK
ClusterName=skipwise
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=27800
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket=$MUNGE
CredType=cred/munge
MpiDefault=none
MailProg=/bin/true
# Without cgroups jobs are found by their process group, and their memory is looked at every two seconds.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=1000
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=5
KillWait=10
CompleteWait=0
MinJobAge=600
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=27801
AccountingStoragePass=$MUNGE
AccountingStoreFlags=job_comment
StateSaveLocation=$HOME_OF_IT/state
SlurmdSpoolDir=$HOME_OF_IT/%n
SlurmctldPidFile=$HOME_OF_IT/run/slurmctld.pid
SlurmdPidFile=$HOME_OF_IT/%n/slurmd.pid
SlurmctldLogFile=$HOME_OF_IT/log/slurmctld
SlurmdLogFile=$HOME_OF_IT/log/slurmd.%n
NodeName=node1 NodeAddr=127.0.0.1 Port=27811 CPUs=${SLURM_NODE_CPUS:-2} RealMemory=${SLURM_NODE_MB:-9000} State=UNKNOWN
NodeName=node2 NodeAddr=127.0.0.1 Port=27812 CPUs=${SLURM_NODE_CPUS:-2} RealMemory=${SLURM_NODE_MB:-9000} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=00:10:00 LLN=YES State=UP
END

background slurmdbd -D
patiently sacctmgr --immediate --noheader list cluster
sacctmgr --immediate --quiet add cluster skipwise >/dev/null || true
sacctmgr --immediate --quiet add account lab >/dev/null || true
sacctmgr --immediate --quiet add user root account=lab >/dev/null || true
background slurmctld -D -f $CONF
patiently scontrol ping
for node in node1 node2; do background slurmd -D -N $node -f $CONF; done
patiently sh -c 'test "$(sinfo --noheader --states=idle --format=%D)" = 2'
sinfo
