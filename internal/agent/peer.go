package agent

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// checkPeer returns an error if the peer of conn has another uid than the agent. Not even
// root is accepted: its container would be supervised with the agent's privileges.
func checkPeer(conn *net.UnixConn) error {
	c, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(c, func(fd int) error {
		peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return fmt.Errorf("getsockopt(SO_PEERCRED): %w", err)
		}
		if euid := os.Geteuid(); int(peer.Uid) != euid {
			return fmt.Errorf("the peer (pid %d) has uid %d, but this agent serves uid %d: start an agent as that user", peer.Pid, peer.Uid, euid)
		}
		return nil
	})
}
