package reference

import "testing"

// FuzzParse parses names of images. What String returns means the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"alpine", "docker://a/b:c", "localhost:5000/a@sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "oci:dir:tag", "dir:a:b", "docker-archive:x.tar:a:b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text, nil)
		if err != nil {
			return
		}
		if again, err := Parse(r.String(), nil); err != nil || again != r {
			t.Errorf("%q: %+v, then %+v (%v)", text, r, again, err)
		}
		if r.Transport == Registry && Repository(r.Name) == "" {
			t.Errorf("%q: %q has no repository", text, r.Name)
		}
	})
}
