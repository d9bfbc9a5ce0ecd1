package cgroup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// systemdPatience is how long systemd may take to make a scope.
const systemdPatience = 30 * time.Second

// managerSocket returns the socket of the systemd that serves this user, if there is one.
func managerSocket() string {
	dir := "/run"
	if uid := os.Geteuid(); uid != 0 {
		dir = cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(uid)))
	}
	return filepath.Join(dir, "systemd", "private")
}

// hasManager reports whether there is a systemd that serves this user.
func hasManager() bool {
	st, err := os.Stat(managerSocket())
	return err == nil && st.Mode()&os.ModeSocket != 0
}

// managerGroup returns the cgroup of the systemd that serves this user.
func managerGroup(root string) string {
	uid := os.Geteuid()
	if uid == 0 {
		return root
	}
	return filepath.Join(root, "user.slice", fmt.Sprintf("user-%d.slice", uid), fmt.Sprintf("user@%d.service", uid))
}

// byManager returns a cgroup that systemd leaves to this process, which is in the cgroup dir: that of its
// unit, if that has Delegate=yes, or that of a new scope, to which systemd moves this process, and whose
// name is name. As systemctl does, it talks to systemd directly: that needs no bus.
func byManager(root, dir, name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), systemdPatience)
	defer cancel()
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) { return dial(ctx, managerSocket()) })
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// An error means that this process is in no unit of this systemd.
	if unit, err := conn.GetUnitNameByPID(ctx, uint32(os.Getpid())); err == nil {
		if base := unitGroup(root, dir, unit); base != "" && isDelegated(ctx, conn, unit) {
			return base, nil
		}
	}
	if err := newScope(ctx, conn, name); err != nil {
		return "", err
	}
	return own(root)
}

// unitGroup returns the cgroup of a unit that contains the cgroup dir, if this process may divide it, and
// else "".
func unitGroup(root, dir, unit string) string {
	for ; len(dir) > len(root); dir = filepath.Dir(dir) {
		if filepath.Base(dir) == unit && divisible(dir) {
			return dir
		}
	}
	return ""
}

// isDelegated reports whether a scope or service has Delegate=yes. Only systemd 251 and later note that
// at the cgroup, too, and not all of them do if they serve a user.
func isDelegated(ctx context.Context, conn *systemd.Conn, unit string) bool {
	kind, ok := map[string]string{".scope": "Scope", ".service": "Service"}[filepath.Ext(unit)]
	if !ok {
		return false
	}
	p, err := conn.GetUnitTypePropertyContext(ctx, unit, kind, "Delegate")
	if err != nil {
		return false
	}
	delegated, _ := p.Value.Value().(bool)
	return delegated
}

// newScope has systemd move this process to a new scope.
func newScope(ctx context.Context, conn *systemd.Conn, name string) error {
	ended := make(chan string, 1)
	_, err := conn.StartTransientUnitContext(ctx, name+".scope", "fail", []systemd.Property{
		systemd.PropDescription("container of subuidless"),
		systemd.PropPids(uint32(os.Getpid())),
		{Name: "Delegate", Value: dbus.MakeVariant(true)},
		{Name: "CollectMode", Value: dbus.MakeVariant("inactive-or-failed")},
	}, ended)
	if err != nil {
		return err
	}
	select {
	case result := <-ended:
		if result != "done" {
			return fmt.Errorf("the job that starts %s.scope has ended with the result %s", name, result)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it has not answered for %v", systemdPatience)
	}
}

// dial connects to systemd.
func dial(ctx context.Context, socket string) (*dbus.Conn, error) {
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(socket), dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
