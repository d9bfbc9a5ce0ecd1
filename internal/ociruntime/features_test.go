package ociruntime

import "testing"

func TestBasicFeatures(t *testing.T) {
	const versions = "crun version 1.8.1\ncommit: f8a096be\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD +SELINUX\n"
	f, err := basicFeatures(crun, versions)
	if err != nil {
		t.Fatal(err)
	}
	if f["ociVersionMax"] != "1.0.0" || f["annotations"].(map[string]any)["run.oci.crun.version"] != "1.8.1" {
		t.Errorf("%v", f)
	}
	// Unknown, which is not the same as none.
	if _, ok := f["mountOptions"]; ok {
		t.Errorf("mount options: %v", f)
	}
}
