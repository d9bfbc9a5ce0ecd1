package main

import "testing"

func TestTable(t *testing.T) {
	m := newResults([]row{{name: "stat"}, {name: "build"}}, []column{{name: columnNative}, {name: "fakeroot"}})
	m.set("stat", columnNative, 0.4e-6)
	m.set("stat", "fakeroot", 12e-6)
	m.set("build", columnNative, 1.3)
	m.set("build", "fakeroot", 1.56)

	wantText := "       native   fakeroot\n" +
		"stat   0.40 µs  12.00 µs (30x)\n" +
		"build  1.30 s   1.56 s (1.20x)\n"
	if got := m.text(); got != wantText {
		t.Errorf("text:\n%s\nwant:\n%s", got, wantText)
	}
	wantMarkdown := "|  | native | fakeroot |\n" +
		"|---|---:|---:|\n" +
		"| stat | 0.40 µs | 12.00 µs (30x) |\n" +
		"| build | 1.30 s | 1.56 s (1.20x) |\n"
	if got := m.markdown(); got != wantMarkdown {
		t.Errorf("markdown:\n%s\nwant:\n%s", got, wantMarkdown)
	}
}

func TestTableWithoutNativeHasNoRatios(t *testing.T) {
	m := newResults([]row{{name: "stat"}}, []column{{name: "fakeroot"}})
	m.set("stat", "fakeroot", 250e-6)
	if got, want := m.text(), "      fakeroot\nstat  250 µs\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		figures []float64
		want    float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 9, 2}, 3},
	} {
		if got := median(test.figures); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.figures, got, test.want)
		}
	}
}

func TestNotMeasuredIsADash(t *testing.T) {
	m := newResults([]row{{name: "install"}}, []column{{name: columnNative}, {name: "fakeroot"}})
	m.set("install", columnNative, 1.4e-3)
	if got, want := m.text(), "         native   fakeroot\ninstall  1.40 ms  -\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
