package kernel

// SocketCommands are the commands of ioctl(2) for sockets: those with this second byte,
// and nothing above it.
const (
	SocketCommands     = 0x8900
	SocketCommandsMask = 0xffffff00
)

// Ioctl answers ioctl(fd, cmd, argp).
func Ioctl(c *Call) Result {
	if configures(c.uint32(1)) {
		return c.configure()
	}
	return Continue
}
