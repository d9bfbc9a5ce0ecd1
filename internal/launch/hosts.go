package launch

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// A container has its own copies of these files of the host's network configuration, as in podman
// and docker. Root in the container can change them, and they end with the container: they are on a
// tmpfs that is not mounted itself, only its two files are.
const (
	hostsFile    = "/etc/hosts"
	resolverFile = "/etc/resolv.conf"
)

// openNetworkFiles returns the mounts of the container's copies.
func (c *container) openNetworkFiles() ([]*bind, error) {
	files, err := networkFiles(c.Hostname, c.Hosts, c.Resolver)
	if err != nil {
		return nil, err
	}
	return c.bindFiles(files)
}

// networkFiles reads the host's files, and returns the container's: see hostsFor and resolverFor. A host
// without resolverFile leaves the container that of the rootfs.
func networkFiles(hostname string, hosts, resolver []string) ([]networkFile, error) {
	content, _, err := readHostFile(hostsFile)
	if err != nil {
		return nil, err
	}
	files := []networkFile{{hostsFile, hostsFor(content, hostname, hosts)}}
	content, found, err := readHostFile(resolverFile)
	if err != nil {
		return nil, err
	}
	if found || len(resolver) > 0 {
		files = append(files, networkFile{resolverFile, resolverFor(content, resolver)})
	}
	return files, nil
}

// networkFile is a file that is to be created for the container.
type networkFile struct {
	target  string // the absolute path in the container
	content []byte
}

// readHostFile returns the content of a file of the host. Found is false if it does not exist
// or the user may not read it.
func readHostFile(name string) (content []byte, found bool, err error) {
	content, err = os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("copying the host's %s: %w", name, errnoOf(err))
	}
	return content, true, nil
}

// bindFiles creates files on a new tmpfs, and returns mounts of them.
func (c *container) bindFiles(files []networkFile) ([]*bind, error) {
	tree, err := newTree("tmpfs", hardened)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	for _, f := range files {
		if err := createIn(tree, path.Base(f.target), f.content); err != nil {
			return nil, fmt.Errorf("creating the container's %s: %w", f.target, err)
		}
	}
	// open_tree(2) copies a file's mount only from the mount namespace, so the tmpfs is
	// attached meanwhile. Nothing else is in this namespace yet, and no name leads to it
	// afterwards.
	if err := attach(tree, c.Root.Path); err != nil {
		return nil, err
	}
	var binds []*bind
	for _, f := range files {
		fd, err := unix.OpenTree(int(tree.Fd()), path.Base(f.target), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("open_tree of the container's %s: %w", f.target, err)
		}
		copied := os.NewFile(uintptr(fd), "the container's file")
		binds = append(binds, &bind{tree: copied, target: f.target, readonly: c.Root.Readonly})
	}
	// The path of the rootfs leads to the tmpfs as long as it is attached.
	if err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(int(tree.Fd())), unix.MNT_DETACH); err != nil {
		return nil, fmt.Errorf("detaching the tmpfs of the container's files: %w", err)
	}
	return binds, nil
}

// createIn creates a file in the directory dir.
func createIn(dir *os.File, name string, content []byte) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	runtime.KeepAlive(dir)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// ParseHost returns the host that --add-host of docker names, NAME:ADDRESS or NAME=ADDRESS, as
// NAME:ADDRESS. The address host-gateway is that of the host, whose network the container has.
func ParseHost(text string) (string, error) {
	name, address, ok := strings.Cut(text, "=")
	if !ok {
		name, address, ok = strings.Cut(text, ":")
	}
	if !ok || name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
		return "", errors.New("must be NAME:ADDRESS")
	}
	if address == "host-gateway" {
		address = "127.0.0.1"
	}
	if inner, ok := strings.CutPrefix(address, "["); ok {
		address = strings.TrimSuffix(inner, "]")
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", fmt.Errorf("%q is not an IP address", address)
	}
	return name + ":" + ip.String(), nil
}

// hostsFor returns the container's hosts(5) file: that of the host, preceded by what it lacks
// for the container, and followed by further hosts. What it lacks are the names of the loopback interface
// and, unless hostname is empty, an address of the container's name, without which sudo complains.
//
// The address is that of the example in hosts(5): "127.0.1.1 is often used for the FQDN of
// the machine".
func hostsFor(host []byte, hostname string, further []string) []byte {
	var b bytes.Buffer
	if !namesHost(host, "localhost") {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	}
	if hostname != "" && hostname != "localhost" {
		names := hostname
		if short, _, qualified := strings.Cut(hostname, "."); qualified && short != "" {
			names += " " + short
		}
		b.WriteString("127.0.1.1\t" + names + "\n")
	}
	b.Write(host)
	if len(further) > 0 && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	for _, h := range further {
		name, address, _ := strings.Cut(h, ":")
		b.WriteString(address + "\t" + name + "\n")
	}
	return b.Bytes()
}

// namesHost reports whether a hosts(5) file has an address for name.
func namesHost(hosts []byte, name string) bool {
	for line := range bytes.Lines(hosts) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		for i, field := range bytes.Fields(line) {
			if i > 0 && string(field) == name {
				return true
			}
		}
	}
	return false
}
