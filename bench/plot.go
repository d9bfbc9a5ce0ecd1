package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Of the plot, in pixels.
const (
	plotLeft   = 300 // of the axis; the names of the rows are before it
	plotAxis   = 560 // its length
	plotMargin = 16
	plotLine   = 22 // height of a row and of the legend
)

// plotStyle has the colors of a light and a dark page.
const plotStyle = `svg{font:13px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
.page{fill:#f6f8fa;stroke:#d0d7de}text{fill:#1f2328}.tick{fill:#57606a}.grid{stroke:#d8dee4}.native{stroke:#57606a}
.m0{fill:#0969da}.m1{fill:#1a7f37}.m2{fill:#bc4c00}.m3{fill:#cf222e}.m4{fill:#8250df}.m5{fill:#6e7781}
@media(prefers-color-scheme:dark){.page{fill:#161b22;stroke:#30363d}text{fill:#e6edf3}.tick{fill:#9198a1}.grid{stroke:#30363d}.native{stroke:#9198a1}
.m0{fill:#58a6ff}.m1{fill:#3fb950}.m2{fill:#f0883e}.m3{fill:#ff7b72}.m4{fill:#bc8cff}.m5{fill:#8b949e}}
`

// plotMarks are the marks of the columns, as paths around 0,0: a disc, a triangle, a square, a
// diamond, a triangle on its head and a bar. The style has a color for each.
var plotMarks = []string{
	"M-5,0a5,5 0 1 0 10,0a5,5 0 1 0 -10,0z",
	"M0,-6L5.5,4.5L-5.5,4.5z",
	"M-4.5,-4.5h9v9h-9z",
	"M0,-6L6,0L0,6L-6,0z",
	"M0,6L5.5,-4.5L-5.5,-4.5z",
	"M-1.5,-7h3v14h-3z",
}

// plotTicks are the ratios to native that the axis names.
var plotTicks = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}

// plot returns the ratios to native as an SVG: a line for each row, a mark for each column, on a
// logarithmic axis. Without the columns of settings and of other binaries of subuidless, and
// without the rows of calls that preloaded libraries answer themselves.
func (m *results) plot() string {
	shown := func(c column) bool {
		return c.peer || c.name == columnSubuidless || c.name == columnNotified || c.name == columnBare
	}
	var marked []column
	for _, c := range m.columns {
		if shown(c) && len(marked) < len(plotMarks) {
			marked = append(marked, c)
		}
	}
	var plotted []row
	least, most := 1.0, 2.0
	for _, r := range m.rows {
		found := false
		for _, c := range marked {
			if ratio, ok := m.ratio(r.name, c.name, columnNative); ok && ratio > 0 && !r.identity {
				least, most, found = min(least, ratio), max(most, ratio), true
			}
		}
		if found {
			plotted = append(plotted, r)
		}
	}
	at := func(ratio float64) float64 {
		return plotLeft + plotAxis*math.Log(ratio/least)/math.Log(most/least)
	}
	var b strings.Builder
	top := plotMargin + 2*plotLine
	bottom := top + plotLine*len(plotted)
	for _, tick := range plotTicks {
		if tick < least || tick > most {
			continue
		}
		class := "grid"
		if tick == 1 {
			class = "native"
		}
		fmt.Fprintf(&b, "<path class=\"%s\" d=\"M%.1f,%dV%d\"/>", class, at(tick), top, bottom)
		fmt.Fprintf(&b, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%gx</text>\n", at(tick), bottom+plotLine-6, tick)
	}
	for i, c := range marked {
		x := plotMargin + 6 + i*150
		fmt.Fprintf(&b, "%s<text x=\"%d\" y=\"%d\">%s</text>\n", plotMark(i, float64(x), plotMargin+plotLine/2, ""), x+12, plotMargin+plotLine/2+5, html.EscapeString(strings.TrimPrefix(c.name, columnSubuidless+", ")))
	}
	for i, r := range plotted {
		y := top + plotLine*i + plotLine/2
		fmt.Fprintf(&b, "<text text-anchor=\"end\" x=\"%d\" y=\"%d\">%s</text>\n", plotLeft-plotMargin, y+5, html.EscapeString(r.name))
		for j, c := range marked {
			if ratio, ok := m.ratio(r.name, c.name, columnNative); ok && ratio > 0 {
				fmt.Fprintln(&b, plotMark(j, at(ratio), y, c.name+": "+m.word(r.name, c.name)))
			}
		}
	}
	width, height := plotLeft+plotAxis+3*plotMargin, bottom+plotLine+plotMargin/2
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%[1]d\" height=\"%[2]d\" role=\"img\">\n"+
		"<title>Time in relation to native, on a logarithmic axis</title>\n<style>\n%[3]s</style>\n"+
		"<rect class=\"page\" x=\".5\" y=\".5\" width=\"%[4]d\" height=\"%[5]d\" rx=\"8\"/>\n%[6]s</svg>\n", width, height, plotStyle, width-1, height-1, &b)
}

// plotMark returns the mark of a column at a place, with a tooltip unless it is empty.
func plotMark(column int, x float64, y int, tooltip string) string {
	if tooltip != "" {
		tooltip = "<title>" + html.EscapeString(tooltip) + "</title>"
	}
	return fmt.Sprintf("<path class=\"m%d\" transform=\"translate(%.1f,%d)\" d=\"%s\">%s</path>", column, x, y, plotMarks[column], tooltip)
}
