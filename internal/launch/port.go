package launch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ParsePort checks a published port in docker's form, HOST:CONTAINER[/tcp|/udp], or ranges FROM-TO of them,
// and returns it as PORT/PROTOCOL. A container has the network of the host, so both must be the same.
func ParsePort(text string) (string, error) {
	ports, protocol, given := strings.Cut(text, "/")
	if !given {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" {
		return "", fmt.Errorf("protocol %q: must be tcp or udp", protocol)
	}
	host, inside, given := strings.Cut(ports, ":")
	switch {
	case !given:
		return "", fmt.Errorf("a container has the network of the host, whose ports are not chosen at random: give %s:%[1]s", ports)
	case strings.Contains(inside, ":"):
		return "", errors.New("a container has the network of the host, so the addresses are those on which its programs listen: give PORT:PORT")
	case host != inside:
		return "", fmt.Errorf("a container has the network of the host, so both ports must be the same: give %s:%[1]s, or let its program listen on port %s", inside, host)
	}
	if _, _, err := portRange(host); err != nil {
		return "", err
	}
	return host + "/" + protocol, nil
}

// portRange parses PORT or FROM-TO.
func portRange(text string) (from, to int, err error) {
	first, last, given := strings.Cut(text, "-")
	if !given {
		last = first
	}
	from, err = strconv.Atoi(first)
	if err == nil {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || to > 65535 || from > to {
		return 0, 0, fmt.Errorf("%q: must be a port from 1 to 65535, or a range FROM-TO", text)
	}
	return from, to, nil
}

// Ports returns the ports, and their protocol, that ParsePort has returned as text.
func Ports(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		numbers, protocol, _ := strings.Cut(text, "/")
		from, to, err := portRange(numbers)
		for port := from; err == nil && port <= to; port++ {
			if !yield(port, protocol) {
				return
			}
		}
	}
}

// checkPorts returns an error unless programs of the caller can listen on all ports, which are as ParsePort
// returns them.
func checkPorts(ports []string) error {
	for _, text := range ports {
		for port, protocol := range Ports(text) {
			if err := checkPort(port, protocol); err != nil {
				return fmt.Errorf("port %d/%s of the host: %w", port, protocol, err)
			}
		}
	}
	return nil
}

func checkPort(port int, protocol string) error {
	var listen net.ListenConfig
	address := ":" + strconv.Itoa(port)
	var err error
	if protocol == "udp" {
		var c net.PacketConn
		if c, err = listen.ListenPacket(context.Background(), protocol, address); err == nil {
			err = c.Close()
		}
	} else {
		var l net.Listener
		if l, err = listen.Listen(context.Background(), protocol, address); err == nil {
			err = l.Close()
		}
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return errors.New("another program uses it already")
	case errors.Is(err, unix.EACCES):
		return errors.New("you may not use it: see the sysctl net.ipv4.ip_unprivileged_port_start")
	}
	return err
}
