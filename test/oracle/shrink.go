package main

// shrink returns the smallest program found that still differs, and how it differs.
func shrink(pr *pair, p program, d string) (program, string) {
	try := func(q program) bool {
		root, user, err := pr.run(q)
		if err != nil {
			return false
		}
		if e := difference(q, root, user); e != "" {
			p, d = q, e
			return true
		}
		return false
	}
	for size := len(p.Ops) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(p.Ops); {
			q := p
			q.Ops = append(append([]op(nil), p.Ops[:at]...), p.Ops[at+size:]...)
			if !try(q) {
				at += size
			}
		}
	}
	return p, d
}
