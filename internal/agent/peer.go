package agent

import (
	"fmt"
	"net"
	"os"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// checkPeer returns an error if the peer of conn has another uid than the agent. Not even
// root is accepted: its container would be supervised with the agent's privileges.
func checkPeer(conn *net.UnixConn) error {
	peer, err := fdpass.Peer(conn)
	if err != nil {
		return err
	}
	if euid := os.Geteuid(); int(peer.Uid) != euid {
		return fmt.Errorf("the peer (pid %d) has uid %d, but this agent serves uid %d: start an agent as that user", peer.Pid, peer.Uid, euid)
	}
	return nil
}
