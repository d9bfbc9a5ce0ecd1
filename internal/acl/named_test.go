package acl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamed(t *testing.T) {
	full := ACL{{UserObj, 6, NoID}, {User, 4, 7}, {User, 7, 9}, {GroupObj, 4, NoID}, {Group, 5, 8}, {Mask, 7, NoID}, {Other, 1, NoID}}
	bare := ACL{{UserObj, 6, NoID}, {GroupObj, 4, NoID}, {Mask, 7, NoID}, {Other, 1, NoID}}
	changed := bare.Chmod(0o640)
	minimal := ACL{{UserObj, 6, NoID}, {GroupObj, 4, NoID}, {Other, 1, NoID}}
	for _, tt := range []struct {
		name      string
		got, want ACL
	}{
		{"unnamed", full.Unnamed(), bare},
		{"unnamed, minimal ACL", minimal.Unnamed(), minimal},
		{"with named, round trip", bare.WithNamed(full), full},
		{"after chmod(2)", changed.WithNamed(full), full.Chmod(0o640)},
		{"no named entries", bare.WithNamed(minimal), bare},
		{"no mask", minimal.WithNamed(full), minimal},
		{"has named entries", full.WithNamed(ACL{{User, 1, 1}}), full},
		{"no ACL", ACL(nil).WithNamed(full), nil},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if full.Unnamed().Mode() != full.Mode() {
		t.Errorf("mode %o, want %o", full.Unnamed().Mode(), full.Mode())
	}
}
