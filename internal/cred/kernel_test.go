package cred_test

import (
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/credtest"
)

// result is the outcome of a call: its return value and the caller's new state.
type result struct {
	value   uint64
	errno   unix.Errno
	to      cred.Credentials
	undumps bool
}

// call is a system call: the model's answer, and the kernel's.
type call struct {
	model  func(cred.Credentials) result
	kernel func() (uint64, unix.Errno)
}

// value returns the outcome of a call that cannot fail and returns an id.
func value(to cred.Credentials, id uint32) result { return result{uint64(id), 0, to, false} }

// changed returns the outcome of a call that returns 0 or an error.
func changed(to cred.Credentials, e unix.Errno) result { return result{0, e, to, false} }

// system returns a function that makes a system call.
func system(nr uintptr, args ...uint64) func() (uint64, unix.Errno) {
	return func() (uint64, unix.Errno) { return credtest.Call(nr, args...) }
}

// calls draw the arguments of the calls that change credentials.
var calls = map[string]func(*rapid.T) call{
	"setuid":    setID(unix.SYS_SETUID, cred.Credentials.Setuid),
	"setgid":    setID(unix.SYS_SETGID, cred.Credentials.Setgid),
	"setreuid":  setIDs2(unix.SYS_SETREUID, cred.Credentials.Setreuid),
	"setregid":  setIDs2(unix.SYS_SETREGID, cred.Credentials.Setregid),
	"setresuid": setIDs3(unix.SYS_SETRESUID, cred.Credentials.Setresuid),
	"setresgid": setIDs3(unix.SYS_SETRESGID, cred.Credentials.Setresgid),
	"setfsuid":  setFS(unix.SYS_SETFSUID, cred.Credentials.Setfsuid),
	"setfsgid":  setFS(unix.SYS_SETFSGID, cred.Credentials.Setfsgid),
	"setgroups": func(t *rapid.T) call {
		groups := rapid.OneOf(credtest.Groups(), rapid.SliceOfN(argument(), 0, 4),
			rapid.Just(make([]uint32, 65536)), rapid.Just(make([]uint32, 65537))).Draw(t, "groups")
		return call{
			func(c cred.Credentials) result { return changed(c.Setgroups(groups)) },
			func() (uint64, unix.Errno) { return 0, credtest.Setgroups(groups) },
		}
	},
	"capset": func(t *rapid.T) call {
		// Mostly sets that the thread may have.
		choice := func(name string, old func(cred.Credentials) cred.Caps) func(cred.Credentials) cred.Caps {
			drawn := credtest.Caps().Draw(t, name)
			return rapid.SampledFrom([]func(cred.Credentials) cred.Caps{
				old,
				func(c cred.Credentials) cred.Caps { return old(c) & drawn },
				func(c cred.Credentials) cred.Caps { return old(c) | c.Bounding&drawn },
				func(cred.Credentials) cred.Caps { return drawn },
				func(c cred.Credentials) cred.Caps { return old(c) | 1<<63 }, // unknown
			}).Draw(t, "choice of "+name)
		}
		permitted := choice("permitted", func(c cred.Credentials) cred.Caps { return c.Permitted })
		effective := choice("effective", permitted)
		inheritable := choice("inheritable", func(c cred.Credentials) cred.Caps { return c.Inheritable })
		return call{
			func(c cred.Credentials) result {
				return changed(c.Capset(effective(c), permitted(c), inheritable(c)))
			},
			func() (uint64, unix.Errno) {
				c := credtest.Read()
				return 0, credtest.Capset(effective(c), permitted(c), inheritable(c))
			},
		}
	},
	"PR_SET_KEEPCAPS": func(t *rapid.T) call {
		keep := rapid.Uint64Range(0, 2).Draw(t, "keep")
		return call{
			func(c cred.Credentials) result { return changed(c.SetKeepCaps(keep)) },
			system(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, keep),
		}
	},
	"PR_GET_KEEPCAPS": func(*rapid.T) call {
		return call{
			func(c cred.Credentials) result { return result{bit(c.KeepCaps()), 0, c, false} },
			system(unix.SYS_PRCTL, unix.PR_GET_KEEPCAPS),
		}
	},
	"PR_SET_SECUREBITS": func(t *rapid.T) call {
		// Mostly few changes.
		change := rapid.SampledFrom([]uint64{0, 1, 2, 3, 1 << 12, 1 << 32, 0xfff}).Draw(t, "change") <<
			rapid.SampledFrom([]int{0, 2, 4, 6, 8, 10}).Draw(t, "flag") &^ credtest.UnknownSecurebits()
		bits := func(c cred.Credentials) uint64 { return uint64(c.Securebits) ^ change }
		return call{
			func(c cred.Credentials) result { return changed(c.SetSecurebits(bits(c))) },
			func() (uint64, unix.Errno) {
				return credtest.Call(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, bits(credtest.Read()))
			},
		}
	},
	"PR_CAPBSET_READ": func(t *rapid.T) call {
		capability := capability().Draw(t, "capability")
		return call{
			func(c cred.Credentials) result {
				in, e := c.ReadBounding(capability)
				return result{bit(in), e, c, false}
			},
			system(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, capability),
		}
	},
	"PR_CAPBSET_DROP": func(t *rapid.T) call {
		capability := capability().Draw(t, "capability")
		return call{
			func(c cred.Credentials) result { return changed(c.DropBounding(capability)) },
			system(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability),
		}
	},
	"PR_CAP_AMBIENT": func(t *rapid.T) call {
		op := rapid.Uint64Range(0, 5).Draw(t, "operation")
		capability := capability().Draw(t, "capability")
		return call{
			func(c cred.Credentials) result {
				to, value, e := c.CapAmbient(op, capability)
				return result{value, e, to, false}
			},
			system(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, op, capability),
		}
	},
}

// argument draws an id, or -1.
func argument() *rapid.Generator[uint32] {
	return rapid.OneOf(credtest.ID(), credtest.ID(), rapid.Just(^uint32(0)))
}

// capability draws a valid or invalid capability.
func capability() *rapid.Generator[uint64] {
	return rapid.OneOf(rapid.Uint64Range(0, unix.CAP_LAST_CAP),
		rapid.SampledFrom([]uint64{0, unix.CAP_SETUID, unix.CAP_LAST_CAP + 1, 64, 1 << 32}))
}

func bit(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func setID(nr uintptr, set func(cred.Credentials, uint32) (cred.Credentials, unix.Errno)) func(*rapid.T) call {
	return func(t *rapid.T) call {
		id := argument().Draw(t, "id")
		return call{func(c cred.Credentials) result { return changed(set(c, id)) }, system(nr, uint64(id))}
	}
}

func setIDs2(nr uintptr, set func(_ cred.Credentials, r, e uint32) (cred.Credentials, unix.Errno)) func(*rapid.T) call {
	return func(t *rapid.T) call {
		r, e := argument().Draw(t, "real"), argument().Draw(t, "effective")
		return call{
			func(c cred.Credentials) result { return changed(set(c, r, e)) },
			system(nr, uint64(r), uint64(e)),
		}
	}
}

func setIDs3(nr uintptr, set func(_ cred.Credentials, r, e, s uint32) (cred.Credentials, unix.Errno)) func(*rapid.T) call {
	return func(t *rapid.T) call {
		r, e, s := argument().Draw(t, "real"), argument().Draw(t, "effective"), argument().Draw(t, "saved")
		return call{
			func(c cred.Credentials) result { return changed(set(c, r, e, s)) },
			system(nr, uint64(r), uint64(e), uint64(s)),
		}
	}
}

func setFS(nr uintptr, set func(cred.Credentials, uint32) (cred.Credentials, uint32)) func(*rapid.T) call {
	return func(t *rapid.T) call {
		id := argument().Draw(t, "id")
		return call{func(c cred.Credentials) result { return value(set(c, id)) }, system(nr, uint64(id))}
	}
}

// TestKernel makes random calls, as root and with random credentials, and compares the
// kernel's results with the model's.
func TestKernel(t *testing.T) {
	credtest.NeedRoot(t)
	names := rapid.SampledFrom(sortedKeys(calls))
	rapid.Check(t, func(t *rapid.T) {
		thread := credtest.NewThread()
		defer thread.Close()
		want := rapid.OneOf(rapid.Just(credtest.Root()), credtest.Credentials()).Draw(t, "from")
		thread.Do(func() { credtest.Become(want) })
		for range rapid.IntRange(1, 30).Draw(t, "calls") {
			name := names.Draw(t, "call")
			c := calls[name](t)
			from := want
			wanted := c.model(from)
			wanted.undumps = from.Undumps(wanted.to)
			var got result
			thread.Do(func() {
				must(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
				got.value, got.errno = c.kernel()
				dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
				must(t, err)
				got.undumps = dumpable != 1
				got.to = credtest.Read()
			})
			if got.errno != 0 {
				got.value = 0
			}
			if got.value != wanted.value || got.errno != wanted.errno || !got.to.Equal(wanted.to) || got.undumps != wanted.undumps {
				t.Fatalf("%s from %+v:\nkernel %+v\nmodel  %+v", name, from, got, wanted)
			}
			want = wanted.to
		}
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
