//go:build slurm

package batch_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slurmConf is a cluster of two virtual nodes on this computer, for root, without a database of accounts.
const slurmConf = `ClusterName=test
SlurmctldHost=localhost
SlurmctldPort=17000
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool.%%n
SlurmctldPidFile=%[1]s/ctld.pid
SlurmdPidFile=%[1]s/slurmd.%%n.pid
SlurmctldLogFile=%[1]s/ctld.log
SlurmdLogFile=%[1]s/slurmd.%%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=%[1]s/jobcomp.log
MpiDefault=none
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=5
RequeueExit=75
SlurmdParameters=config_overrides
NodeName=n[0-1] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=2 RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`

// start starts a real Slurm and stops it when the test ends.
func start(t *testing.T) (dir string) {
	t.Helper()
	for _, program := range []string{"munged", "slurmctld", "slurmd", "sbatch"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v (Debian: apt-get install slurmctld slurmd slurm-client munge)", err)
		}
	}
	if os.Getuid() != 0 {
		t.Fatal("this test starts daemons of Slurm and has to be root, as in a container")
	}
	dir = t.TempDir()
	for _, name := range []string{"state", "spool.n0", "spool.n1"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "slurm.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, slurmConf, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLURM_CONF", conf)
	munge(t)
	t.Cleanup(func() { stop(t, filepath.Join(dir, "*.pid")) })
	shell(t, "slurmctld -i -c; slurmd -N n0 -c; slurmd -N n1 -c")
	until(t, "Slurm starts", 60*time.Second, func() bool { return exec.Command("srun", "-N2", "-n2", "-t1", "true").Run() == nil })
	return dir
}

// munge starts the authentication daemon, unless one runs.
func munge(t *testing.T) {
	t.Helper()
	if exec.Command("sh", "-c", "munge -n | unmunge").Run() == nil {
		return
	}
	shell(t, "install -d -o munge -g munge -m 755 /run/munge; runuser -u munge -- munged")
	t.Cleanup(func() { stop(t, "/run/munge/*.pid", "/var/run/munge/*.pid") })
	until(t, "munge starts", 10*time.Second, func() bool { return exec.Command("sh", "-c", "munge -n | unmunge").Run() == nil })
}

// stop ends the daemons that left these files, by their numbers, and waits for them.
func stop(t *testing.T, globs ...string) {
	for _, glob := range globs {
		files, _ := filepath.Glob(glob)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
			if err != nil {
				continue
			}
			process, _ := os.FindProcess(pid)
			_ = process.Signal(os.Interrupt)
			until(t, "a daemon ends", 20*time.Second, func() bool {
				_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
				return err != nil
			})
		}
	}
}

func shell(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// until waits for a condition.
func until(t *testing.T, what string, patience time.Duration, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
