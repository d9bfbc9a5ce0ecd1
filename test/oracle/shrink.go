package main

import (
	"slices"
	"strings"
)

// shrink returns the smallest program that it finds for which differs is still true.
func shrink(p program, differs func(program) bool) program {
	for {
		before := p.String()
		p = dropLines(p, differs)
		p = simplifyWords(p, differs)
		if p.Chroot {
			if q := (program{Ops: p.Ops}); differs(q) {
				p = q
			}
		}
		if p.String() == before {
			return p
		}
	}
}

// dropLines tries without halves, quarters and finally single lines.
func dropLines(p program, differs func(program) bool) program {
	for size := max(len(p.Ops)/2, 1); size > 0; size /= 2 {
		for at := 0; at+size <= len(p.Ops); {
			q := program{Chroot: p.Chroot, Ops: slices.Delete(slices.Clone(p.Ops), at, at+size)}
			if differs(q) {
				p = q
			} else {
				at += size
			}
		}
	}
	return p
}

// simplifyWords tries with shorter arguments and fewer actors.
func simplifyWords(p program, differs func(program) bool) program {
	alone := program{Chroot: p.Chroot, Ops: slices.Clone(p.Ops)}
	for i := range alone.Ops {
		alone.Ops[i].Actor = 1
	}
	if differs(alone) {
		p = alone
	}
	for i := range p.Ops {
		if p.Ops[i].Actor != 1 {
			if q := withOp(p, i, func(o *op) { o.Actor = 1 }); differs(q) {
				p = q
			}
		}
		for j := range p.Ops[i].Args {
			if p.Ops[i].Call.params[j].name == device.name {
				continue // another number might be a working device
			}
			for _, word := range simpler(p.Ops[i].Args[j]) {
				if q := withOp(p, i, func(o *op) { o.Args[j] = word }); differs(q) {
					p = q
					break
				}
			}
		}
	}
	return p
}

// withOp returns p with operation i changed.
func withOp(p program, i int, change func(*op)) program {
	p.Ops = slices.Clone(p.Ops)
	p.Ops[i].Args = slices.Clone(p.Ops[i].Args)
	change(&p.Ops[i])
	return p
}

// simpler returns words to try instead of one, the simplest first. They are shorter, or
// as long and earlier in the alphabet, so that shrink terminates.
func simpler(word string) []string {
	var words []string
	if parts := strings.Split(word, "|"); len(parts) > 1 {
		for i := range parts {
			if strings.HasSuffix(parts[i], "_NONBLOCK") {
				continue // the program might block
			}
			words = append(words, strings.Join(slices.Delete(slices.Clone(parts), i, i+1), "|"))
		}
	}
	if word[0] == '"' {
		words = append(words, `"a"`, `"b"`)
		if i := strings.LastIndexByte(word, '/'); i >= 0 {
			words = append(words, `"`+word[i+1:], word[:i]+`"`)
		}
	}
	if !strings.Contains(word, "NONBLOCK") {
		words = append(words, "0", "1000", "0755")
	}
	return slices.DeleteFunc(words, func(w string) bool {
		return len(w) > len(word) || len(w) == len(word) && w >= word
	})
}
