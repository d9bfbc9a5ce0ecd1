package doctor

import (
	"slices"
	"strings"
	"testing"
)

func TestUnknownCalls(t *testing.T) {
	const symbols = `ffffffff81000000 T __x64_sys_read
ffffffff81000010 T __ia32_sys_read
ffffffff81000020 T __x64_sys_newstat
ffffffff81000030 T __x64_sys_chown16
ffffffff81000040 T __x64_sys_clock_adjtime32
ffffffff81000050 T __x64_sys_ni_syscall
ffffffff81000060 T __x64_sys_teleport
ffffffff81000070 t __pfx___x64_sys_teleport
ffffffff81000080 T __arm64_sys_abandon	[module]
ffffffff81000090 T __arm64_sys_abandon
`
	got, err := unknownCalls(strings.NewReader(symbols))
	if want := []string{"abandon", "teleport"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
