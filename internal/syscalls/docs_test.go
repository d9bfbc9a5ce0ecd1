package syscalls

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown returns the page docs/syscalls.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# System calls

<!-- Written by "make generate" from internal/syscalls. Do not edit. -->

Who answers each system call. *Emulated*: notified, and answered by subuidless (which lets the kernel execute the call
wherever the kernel's own answer is right). *Native*: left to the kernel, which does the right thing. *Refused*: fails with
ENOSYS. Calls that are not in the table are native, and cost nothing. Where *permissions matter* is the only condition, the call is native with
` + "`--permissions=off`" + `.

The columns of numbers tell on which ABI the call exists. On x86-64, calls of the x32 ABI fail with ENOSYS and a message in the
log, as do calls of 32-bit Arm on arm64. The last column names the peers that handle the call.

| call | answered | x86-64 | i386 | arm64 | notified when | note | also in |
|---|---|---|---|---|---|---|---|
`)
	for i := range Rows {
		r := &Rows[i]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", r.Name, r.Support,
			r.number(X8664), r.number(I386), r.number(ARM64), r.condition(), r.Note, r.peers())
	}
	for _, p := range Peers {
		fmt.Fprintf(&b, "\n%s: %d names, %d emulated or native here.\n", p.Name, len(p.Calls), p.covered())
	}
	return b.String()
}

func (r *Row) number(a Arch) string {
	if nr, ok := r.Number(a); ok {
		return fmt.Sprint(nr)
	}
	return ""
}

func (r *Row) condition() string {
	if r.Support != Emulated {
		return ""
	}
	switch r.Checks {
	case ChecksOnly:
		return "permissions matter"
	case ChecksMore:
		return "permissions matter, or " + describe(r.WhenUnchecked)
	}
	if len(r.When) == 0 {
		return "always"
	}
	return describe(r.When)
}

func describe(tests []ArgTest) string {
	var b []string
	for _, t := range tests {
		b = append(b, fmt.Sprintf("argument %d & %#x = %#x", t.Index+1, t.Mask, t.Value))
	}
	return strings.Join(b, " or ")
}

func (r *Row) peers() string {
	var names []string
	for _, p := range Peers {
		if slices.Contains(p.Calls, r.Name) {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}

// covered counts the calls of p that work here.
func (p *Peer) covered() int {
	n := 0
	for i := range Rows {
		if s := Rows[i].Support; slices.Contains(p.Calls, Rows[i].Name) && (s == Emulated || s == Native) {
			n++
		}
	}
	return n
}
