package handlers

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// FuzzControl parses the control messages of a caller, as package unix does.
func FuzzControl(f *testing.F) {
	f.Add(unix.UnixRights(0, 1))
	f.Add(unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: 2, Gid: 3}))
	f.Add(append(unix.UnixCredentials(&unix.Ucred{}), unix.UnixRights(7)...))
	f.Add(binary.NativeEndian.AppendUint64(nil, 1<<63))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []unix.SocketControlMessage
		for rest := b; ; {
			level, kind, data, next, ok := nextControl(rest, 8)
			if !ok {
				break
			}
			if len(next) >= len(rest) {
				t.Fatalf("% x: no progress", b)
			}
			ucredOf(data)
			got = append(got, unix.SocketControlMessage{Header: unix.Cmsghdr{Level: level, Type: kind}, Data: data})
			rest = next
		}
		want, err := unix.ParseSocketControlMessage(b)
		if err != nil {
			return
		}
		if !slices.EqualFunc(got, want, func(a, b unix.SocketControlMessage) bool {
			return a.Header.Level == b.Header.Level && a.Header.Type == b.Header.Type && bytes.Equal(a.Data, b.Data)
		}) {
			t.Errorf("% x: %v, want %v", b, got, want)
		}
		for rest, ok := b, true; ok; { // of an i386 caller
			_, _, _, rest, ok = nextControl(rest, 4)
		}
	})
}

// FuzzAttributeNames filters lists of names: what is ours must not appear.
func FuzzAttributeNames(f *testing.F) {
	f.Add([]byte("user.a\x00"+owner.Xattr+"\x00trusted.b\x00security.capability\x00"), true, true)
	f.Add([]byte(storedPrefix+"trusted.a\x00"+storedPrefix+"security.b\x00security.b\x00"), true, false)
	f.Add([]byte(storedPrefix+"security.capability\x00"+storedPrefix), false, false)
	f.Fuzz(func(t *testing.T, names []byte, privileged, hideCapability bool) {
		stored := filterStored(bytes.Clone(names), privileged)
		for _, shown := range [][]byte{filterNames(bytes.Clone(names), privileged, hideCapability), stored} {
			if len(shown) > len(names) {
				t.Errorf("%q became %q", names, shown)
			}
			for len(shown) > 0 {
				var name []byte
				name, shown = cutName(shown)
				if string(bytes.TrimSuffix(name, []byte{0})) == owner.Xattr {
					t.Errorf("%q shows %q", names, name)
				}
			}
		}
	})
}

// FuzzScriptInterpreter parses the beginning of a file that a caller executes.
func FuzzScriptInterpreter(f *testing.F) {
	for _, head := range []string{"#!/bin/sh\n", "#! \t/bin/sh -e\n", "#!", "#!\n", "#!/bin/sh\x00x"} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if path := scriptInterpreter(head); bytes.ContainsAny(path, " \t\n\x00") || path != nil && len(path) == 0 {
			t.Errorf("%q: %q", head, path)
		}
	})
}

// FuzzStatus rewrites /proc/PID/status: the lines that are not about credentials stay.
func FuzzStatus(f *testing.F) {
	f.Add([]byte("Name:\tsh\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0 \nCapEff:\t0000000000000000\n"))
	f.Add([]byte("Groups:\nUid"))
	f.Fuzz(func(t *testing.T, status []byte) {
		lines := func(text []byte) (others [][]byte, all int) {
			for line := range bytes.Lines(text) {
				all++
				switch name, _, _ := bytes.Cut(line, []byte(":")); string(name) {
				case "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
				default:
					others = append(others, line)
				}
			}
			return others, all
		}
		s := identity.State{}
		s.Groups = []uint32{1, 1<<32 - 2}
		before, want := lines(status)
		after, got := lines(rewriteStatus(status, &s, nil))
		if got != want || !slices.EqualFunc(before, after, bytes.Equal) {
			t.Errorf("%q became %q", status, rewriteStatus(status, &s, nil))
		}
	})
}
