// Package fakeroot runs a command as fakeroot(1) does: owners and devices that it records end
// with the command, unless they are saved to a file, in the format of faked(1).
package fakeroot
