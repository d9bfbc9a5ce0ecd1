package test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// criConfig is the configuration of containerd for testdata/engines/cri, with the home directory,
// the directory of CNI, and the image of pods.
const criConfig = `version = 2
root = "%[1]s/containerd/root"
state = "/run/containerd"
[grpc]
address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
disable_cgroup = true
disable_apparmor = true
restrict_oom_score_adj = true
sandbox_image = "%[2]s"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "%[1]s/containerd/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "subuidless"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.subuidless]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.subuidless.options]
BinaryName = "%[1]s/containerd/subuidless-runtime"
`

// cniConfig is a network with a bridge.
const cniConfig = `{"cniVersion": "0.4.0", "name": "pods", "plugins": [
	{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipam":
		{"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
	{"type": "portmap", "capabilities": {"portMappings": true}}]}
`

// crictlConfig is the configuration of crictl. By default, it gives up after two seconds, in which a busy
// machine starts no container.
const crictlConfig = "timeout: 300\n"

// TestCRI runs pods by crictl and containerd.
func TestCRI(t *testing.T) {
	needs(t, "busybox", "cni", "containerd", "crictl")
	e := newEngine(t)
	layer, err := baseLayer(false)
	if err == nil {
		err = errors.Join(pushImage(e.addr, "pause", layer, "sleep", "1000"), os.MkdirAll(e.home("containerd", "cni"), 0o755))
	}
	if err == nil {
		err = errors.Join(
			os.Symlink(work("bin", "subuidless"), e.home("containerd", "subuidless-runtime")),
			os.WriteFile(e.home("containerd", "config.toml"), fmt.Appendf(nil, criConfig, e.home(), e.addr+"/pause"), 0o644),
			os.WriteFile(e.home("containerd", "crictl.yaml"), []byte(crictlConfig), 0o644),
			os.WriteFile(e.home("containerd", "cni", "pods.conflist"), []byte(cniConfig), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ part, namespaces, want string }{
		{"pods", "-m", `# the host's network
uid=33(www-data) gid=33(www-data) groups=26(tape),33(www-data)
/owned/33 33:33 regular file
/owned/link 44:45 symbolic link
/owned/fifo 46:47 fifo
33
# a container's standard streams
input of 33
# shared processes
sleep 1004
0
# the host's processes
`},
		{"networks", "-mn", "box\neth0:\nlo:\nbox\n"},
	} {
		cmd := e.command("subuidless", "exec", "--", "unshare", tt.namespaces, "sh", "cri", tt.part, e.base())
		var out, messages strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &messages
		if err := cmd.Run(); err != nil || out.String() != tt.want {
			t.Fatalf("%s: %v, %s%s", tt.part, err, diff([]byte(tt.want), []byte(out.String())), messages.String())
		}
	}
}
