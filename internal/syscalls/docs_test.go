package syscalls

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// page is the text of docs/syscalls.md before the table. Its arguments are the highest
// numbers.
const page = `# System calls

<!-- Written by "make generate" from internal/syscalls. Do not edit. -->

This table lists the system calls that subuidless knows, and how each gets its result:

* *emulated*: the call is notified, and subuidless answers it. Where the kernel's result is right,
  the answer is to *continue*: the kernel executes the call. A call that this kernel lacks is
  continued, too, and fails with |ENOSYS|.
* *native*: the kernel executes the call without a notification.
* *refused*: the call fails with |ENOSYS|.

Other calls are native, too, and not slowed down, with one exception. A call with a higher number
than this version knows (%d on x86-64, %d on i386, %d on arm64) fails with |ENOSYS| under
|subuidless exec| and |subuidless run|, as on a kernel that does not have it. In a container of crun
or runc, the runtime's seccomp profile decides.

*Notified when* is the condition under which an emulated call is notified. Arguments count from 1.
*Permissions* means that the call is notified because file permissions may forbid it. With
|--permissions=off| such a call is notified only under the condition that follows, if any.

The numbers show on which ABIs a call exists. Calls of the x32 ABI on x86-64, and of 32-bit Arm on
arm64, fail with |ENOSYS|, and the log reports the first one. The last column lists other programs
that handle the call.

| call | support | x86-64 | i386 | arm64 | notified when | note | also in |
|---|---|---|---|---|---|---|---|
`

// Markdown returns the text of docs/syscalls.md.
func Markdown() string {
	var b strings.Builder
	head, table, _ := strings.Cut(page, "\n| ")
	head = strings.ReplaceAll(head, "|", "`")
	fmt.Fprintf(&b, head+"\n| "+table, X8664.Highest(), I386.Highest(), ARM64.Highest())
	for i := range Rows() {
		r := &Rows()[i]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", r.Name, r.Support,
			r.number(X8664), r.number(I386), r.number(ARM64), r.condition(), r.Note, r.peers())
	}
	b.WriteString("\n")
	for _, p := range Peers {
		fmt.Fprintf(&b, "* %s handles %d system calls; %d of them are emulated or native here.\n", p.Name, len(p.Calls), p.covered())
	}
	return b.String()
}

// number returns the number of r on a, or an empty string.
func (r *Row) number(a Arch) string {
	if nr, ok := r.Number(a); ok {
		return fmt.Sprint(nr)
	}
	return ""
}

// condition describes when the call of r is notified.
func (r *Row) condition() string {
	if r.Support != Emulated {
		return ""
	}
	switch r.Checks {
	case ChecksOnly:
		return "permissions"
	case ChecksMore:
		return "permissions, or " + describe(r.WhenUnchecked)
	}
	if len(r.When) == 0 {
		return "always"
	}
	return describe(r.When)
}

// describe writes conditions in words.
func describe(conditions []Condition) string {
	var either []string
	for _, c := range conditions {
		var all []string
		for _, t := range c {
			if t.Mask == math.MaxUint32 {
				all = append(all, fmt.Sprintf("argument %d = %#x", t.Index+1, t.Value))
			} else {
				all = append(all, fmt.Sprintf("argument %d & %#x = %#x", t.Index+1, t.Mask, t.Value))
			}
		}
		either = append(either, strings.Join(all, " and "))
	}
	return strings.Join(either, " or ")
}

// peers lists the programs that handle the call of r.
func (r *Row) peers() string {
	var names []string
	for _, p := range Peers {
		if slices.Contains(p.Calls, r.Name) {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}

// covered returns how many calls of p are emulated or native here.
func (p *Peer) covered() int {
	n := 0
	for i := range Rows() {
		if s := Rows()[i].Support; slices.Contains(p.Calls, Rows()[i].Name) && (s == Emulated || s == Native) {
			n++
		}
	}
	return n
}
