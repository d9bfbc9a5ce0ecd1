// Busclient asks the message bus at an address, such as unix:path=/run/dbus/system_bus_socket,
// which user it takes this process for. Its library sends credentials of its own before it
// authenticates: SCM_CREDENTIALS of unix(7).
package main

import (
	"fmt"
	"os"

	"github.com/godbus/dbus/v5"
)

func main() {
	if err := ask(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "busclient:", err)
		os.Exit(1)
	}
}

func ask(address string) error {
	bus, err := dbus.Connect(address)
	if err != nil {
		return err
	}
	defer bus.Close()
	var uid uint32
	if err := bus.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixUser", 0, bus.Names()[0]).Store(&uid); err != nil {
		return err
	}
	fmt.Println(uid)
	return nil
}
