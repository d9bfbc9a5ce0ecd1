package owner

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var unexported = cmpopts.IgnoreUnexported(Record{})

// unhex decodes hexadecimal bytes with spaces between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Both fields are always written, even zeros: PRoot reads an absent one as -1.
func TestAppend(t *testing.T) {
	for _, tt := range []struct {
		id   ID
		want string
	}{
		{ID{42, 42}, "08 2a 10 2a"},
		{ID{0, 0}, "08 00 10 00"},
		{ID{0, 7}, "08 00 10 07"},
		{ID{300, 0}, "08 ac 02 10 00"},
		{ID{Noop, 1}, "08 ff ff ff ff 0f 10 01"},
		{ID{1, Noop}, "08 01 10 ff ff ff ff 0f"},
		{ID{65534, Noop - 1}, "08 fe ff 03 10 fe ff ff ff 0f"},
	} {
		if got, want := (&Record{ID: tt.id}).Append(nil), unhex(t, tt.want); !bytes.Equal(got, want) {
			t.Errorf("%v: % x, want % x", tt.id, got, want)
		}
	}
}

func TestAppendKeepsItsArgument(t *testing.T) {
	if got := string((&Record{ID: ID{1, 2}}).Append([]byte("ab"))); got != "ab\x08\x01\x10\x02" {
		t.Errorf("got %q", got)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        ID
	}{
		{"both", "08 2a 10 2b", ID{42, 43}},
		{"both zero", "08 00 10 00", ID{}},
		{"empty", "", ID{}},
		{"uid absent", "10 2b", ID{0, 43}},
		{"gid absent", "08 2a", ID{42, 0}},
		{"fields in any order", "10 2b 08 2a", ID{42, 43}},
		{"the last value counts", "08 01 10 2b 08 2a", ID{42, 43}},
		{"noop", "08 ff ff ff ff 0f 10 ff ff ff ff 0f", ID{Noop, Noop}},
		{"varint of two bytes for 42", "08 aa 00 10 ab 00", ID{42, 43}},
		{"varint of ten bytes for 42", "08 aa 80 80 80 80 80 80 80 80 00", ID{42, 0}},
		{"-1 as int64 is truncated to 32 bits", "08 ff ff ff ff ff ff ff ff ff 01", ID{Noop, 0}},
		{"2^32+5 is truncated to 32 bits", "08 85 80 80 80 10", ID{5, 0}},
		{"tag of two bytes for field 1", "88 00 2a 10 2b", ID{42, 43}},
		{"unknown varint", "18 63 08 2a 10 2b", ID{42, 43}},
		{"unknown fixed32", "08 2a 1d 01 02 03 04 10 2b", ID{42, 43}},
		{"unknown fixed64", "08 2a 19 01 02 03 04 05 06 07 08 10 2b", ID{42, 43}},
		{"unknown bytes", "08 2a 1a 02 08 63 10 2b", ID{42, 43}},
		{"unknown group", "08 2a 1b 08 63 1c 10 2b", ID{42, 43}},
		{"field 1 of another wire type", "0a 01 63 08 2a 10 2b", ID{42, 43}},
		{"field 2 of another wire type", "15 01 02 03 04 08 2a", ID{42, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(unhex(t, tt.value))
			if err != nil || got.ID != tt.want || !got.ownerOnly() {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	for name, value := range map[string]string{
		"tag without a value":        "08",
		"unfinished varint":          "08 80",
		"varint of eleven bytes":     "08 80 80 80 80 80 80 80 80 80 80 00",
		"varint above 64 bits":       "08 ff ff ff ff ff ff ff ff ff 02",
		"field number 0":             "00 01",
		"field number above 2^31-1":  "80 80 80 80 40 01",
		"reserved wire type 6":       "0e 01",
		"reserved wire type 7":       "0f 01",
		"end of no group":            "08 2a 1c",
		"unfinished group":           "08 2a 1b",
		"end of another group":       "1b 24",
		"truncated bytes":            "1a 05 01",
		"fixed32 of three bytes":     "1d 01 02 03",
		"good start, then a bad tag": "08 2a 10 2b ff",
		"a type without a device":    "08 2a c0 3e 80 80 02",
		"a type of 64 bits":          "c0 3e 80 c0 80 80 10 c8 3e 83 02",
		"a device without a type":    "08 2a c8 3e 83 02",
		"a device number of 33 bits": "c0 3e 80 40 c8 3e 80 80 80 80 10",
		"truncated ACL":              "d2 3e 05 01",
		"text":                       hex.EncodeToString([]byte("42:42")),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(unhex(t, value)); err == nil || !cmp.Equal(got, Record{}, unexported) {
				t.Errorf("%+v, %v; want an error and no record", got, err)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	back := func(uid, gid uint32) bool {
		got, err := Parse((&Record{ID: ID{uid, gid}}).Append(nil))
		return err == nil && got.ID == ID{uid, gid} && got.ownerOnly()
	}
	if err := quick.Check(back, &quick.Config{MaxCount: 20000}); err != nil {
		t.Error(err)
	}
}

// TestPeersMessages parses values that other programs write: umoci, like every proto3
// encoder, omits zeros, and writes NoopID for the mapped id; PRoot writes both fields.
func TestPeersMessages(t *testing.T) {
	field := func(b []byte, num protowire.Number, v uint32) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
	}
	umoci := func(uid, gid uint32) (b []byte) {
		if uid != 0 {
			b = field(b, 1, uid)
		}
		if gid != 0 {
			b = field(b, 2, gid)
		}
		return b
	}
	proot := func(uid, gid uint32) []byte { return field(field(nil, 1, uid), 2, gid) }
	read := func(uid, gid uint32) bool {
		want := ID{uid, gid}
		u, errU := Parse(umoci(uid, gid))
		p, errP := Parse(proot(uid, gid))
		return errU == nil && errP == nil && u.ID == want && p.ID == want && bytes.Equal((&Record{ID: want}).Append(nil), proot(uid, gid))
	}
	if err := quick.Check(read, nil); err != nil {
		t.Error(err)
	}
	for _, id := range []ID{{0, 0}, {0, 42}, {42, 0}, {Noop, 42}, {42, Noop}, {Noop, Noop}} {
		if !read(id.UID, id.GID) {
			t.Errorf("%v is not read as written", id)
		}
	}
}

// records are records that have more than an owner, with their encodings.
var records = map[string]struct {
	Record
	encoding string
}{
	"null":        {Record{Type: unix.S_IFCHR, Rdev: 0x103}, "08 00 10 00 c0 3e 80 40 c8 3e 83 02"},
	"disk":        {Record{ID: ID{0, 6}, Type: unix.S_IFBLK, Rdev: 0x811}, "08 00 10 06 c0 3e 80 c0 01 c8 3e 91 10"},
	"last device": {Record{ID: Unchanged, Type: unix.S_IFCHR, Rdev: 0xffffffff}, "08 ff ff ff ff 0f 10 ff ff ff ff 0f c0 3e 80 40 c8 3e ff ff ff ff 0f"},
	"device 0:0":  {Record{ID: ID{1, 2}, Type: unix.S_IFBLK}, "08 01 10 02 c0 3e 80 c0 01 c8 3e 00"},
	"access":      {Record{ID: ID{42, 43}, Access: []byte{2, 0}}, "08 2a 10 2b d2 3e 02 02 00"},
	"both ACLs":   {Record{ID: ID{42, 43}, Access: []byte{2, 0}, Default: []byte{3}}, "08 2a 10 2b d2 3e 02 02 00 da 3e 01 03"},
}

func TestRecords(t *testing.T) {
	for name, tt := range records {
		b := tt.Append(nil)
		if !bytes.Equal(b, unhex(t, tt.encoding)) {
			t.Errorf("%s: % x, want %s", name, b, tt.encoding)
		}
		if got, err := Parse(b); err != nil || !cmp.Equal(got, tt.Record, unexported) {
			t.Errorf("%s: read back as %+v, %v", name, got, err)
		}
	}
	if r, err := Parse(unhex(t, "08 2a d2 3e 00 da 3e 00")); err != nil || r.Access != nil || r.Default != nil {
		t.Errorf("empty ACLs: %+v, %v; want none", r, err)
	}
}

// Other readers of the proto find the owner in a record that has more.
func TestPeersReadRecords(t *testing.T) {
	resource := resourceType(t)
	for name, tt := range records {
		m := dynamicpb.NewMessage(resource)
		if err := proto.Unmarshal(tt.Append(nil), m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		value := func(num protoreflect.FieldNumber) uint32 {
			return uint32(m.Get(resource.Fields().ByNumber(num)).Uint())
		}
		if got := (ID{value(1), value(2)}); got != tt.ID {
			t.Errorf("%s: owner %v, want %v", name, got, tt.ID)
		}
	}
}

func TestOver(t *testing.T) {
	for _, tt := range []struct{ id, kernel, want ID }{
		{ID{1, 2}, ID{3, 4}, ID{1, 2}},
		{ID{Noop, 2}, ID{3, 4}, ID{3, 2}},
		{ID{1, Noop}, ID{3, 4}, ID{1, 4}},
		{ID{Noop, Noop}, ID{3, 4}, ID{3, 4}},
		{ID{0, 0}, ID{3, 4}, ID{0, 0}},
		{ID{Noop, Noop}, ID{Noop, 0}, ID{Noop, 0}},
	} {
		if got := tt.id.Over(tt.kernel); got != tt.want {
			t.Errorf("%v over %v: %v, want %v", tt.id, tt.kernel, got, tt.want)
		}
	}
}

// resourceType returns the proto's message Resource, for Google's decoder.
func resourceType(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	field := func(name string, num int32) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &num,
			Type:  descriptorpb.FieldDescriptorProto_TYPE_UINT32.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("rootlesscontainers.proto"), Syntax: proto.String("proto3"), Package: proto.String("rootlesscontainers"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name:  proto.String("Resource"),
			Field: []*descriptorpb.FieldDescriptorProto{field("uid", 1), field("gid", 2)},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0)
}

// hasLargeNumber reports whether a field has a number that proto3 rejects but protowire,
// its lower layer, skips as unknown.
func hasLargeNumber(b []byte) bool {
	for len(b) > 0 {
		num, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return false
		}
		if num > protowire.MaxValidNumber {
			return true
		}
		b = b[n:]
	}
	return false
}

// FuzzParse compares Parse with Google's proto3 decoder: both must reject the same values,
// and read the same owner from all others.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "08 2a 10 2a", "08 00 10 00", "08", "08 ff ff ff ff 0f", "08 aa 80 00", "1b 08 63 1c", "1b 24", "0e 01", "00 01",
		"08 ff ff ff ff ff ff ff ff ff 01", "1a 05 01", "15 01 02 03 04", "88 00 2a",
		"08 2a 10 2b c0 3e 80 40 c8 3e 83 02", "08 00 10 00 d2 3e 02 01 02 da 3e 01 03", "c8 3e 01",
	} {
		f.Add(unhex(f, seed))
	}
	resource := resourceType(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		m := dynamicpb.NewMessage(resource)
		wantErr := proto.Unmarshal(b, m)
		if err == nil && hasLargeNumber(b) || err == errDevice {
			return
		}
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("% x: error %v, proto3 says %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		value := func(num protoreflect.FieldNumber) uint32 {
			return uint32(m.Get(resource.Fields().ByNumber(num)).Uint())
		}
		if want := (ID{value(1), value(2)}); got.ID != want {
			t.Errorf("% x: %v, proto3 says %v", b, got.ID, want)
		}
		if again, err := Parse(got.Append(nil)); err != nil || !cmp.Equal(again, got, unexported) {
			t.Errorf("%+v is read back as %+v, %v", got, again, err)
		}
	})
}

// The marker in the mode decides whether the recorded set-id bits count.
func TestSetID(t *testing.T) {
	r := Record{ID: ID{7, 8}, SetID: unix.S_ISUID | unix.S_ISGID}
	parsed, err := Parse(r.Append(nil))
	if err != nil || parsed.SetID != r.SetID || parsed.ID != r.ID {
		t.Fatalf("%+v, %v; want %+v", parsed, err, r)
	}
	if got := parsed.Mode(unix.S_IFREG | 0o1755); got != unix.S_IFREG|0o6755 {
		t.Errorf("mode %o, want 6755", got)
	}
	for mode, want := range map[uint32]uint32{
		unix.S_IFREG | 0o1755: r.SetID, unix.S_IFREG | 0o755: 0, unix.S_IFREG | 0o6755: 0, unix.S_IFDIR | 0o1755: 0, unix.S_IFSOCK | 0o1755: 0,
	} {
		p := parsed
		if p.dropVoid(mode); p.SetID != want {
			t.Errorf("with mode %o: %o, want %o", mode, p.SetID, want)
		}
	}
	if other, err := Parse(appendVarint(nil, fieldSetID, 0o170777)); err != nil || other.SetID != 0 {
		t.Errorf("bits that are no set-id bits: %o, %v", other.SetID, err)
	}
}
