// Package fdpass passes file descriptors over Unix sockets: unix(7), SCM_RIGHTS. Send and
// Receive work on a socket as a file, Write and Read on one as a net.UnixConn.
package fdpass
