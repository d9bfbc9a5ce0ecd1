package cli

import "testing"

func TestIsPath(t *testing.T) {
	for text, want := range map[string]bool{
		"/": true, "/x": true, ".": true, "..": true, "./x": true, "../x": true,
		"x": false, "x/y": false, ".x": false, "oci:./x": false, "": false,
	} {
		if IsPath(text) != want {
			t.Errorf("IsPath(%q) = %v", text, !want)
		}
	}
}
