package top

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/mattn/go-runewidth"
)

// Show shows reports on the terminal until the user ends it or ctx does. It takes a sample each
// delay, and stops after so many; 0: never. Name is that of Compare.
func Show(ctx context.Context, delay time.Duration, iterations int, name func(id string) string) error {
	first, err := Take()
	if err != nil {
		return err
	}
	m := model{delay: delay, left: iterations, name: name, last: first}
	end, err := tea.NewProgram(m, tea.WithContext(ctx)).Run()
	if err != nil {
		return err
	}
	return end.(model).err
}

// model is the state of the screen.
type model struct {
	delay  time.Duration
	left   int // samples to take; 0: no limit
	name   func(id string) string
	last   *Sample
	report *Report // nil: not yet
	chosen int     // keeper of the container whose calls are shown; 0: the first one
	width  int
	height int
	err    error // ends the program
}

// taken is the message that a sample has been taken.
type taken struct {
	sample *Sample
	err    error
}

// take takes a sample after the delay.
func (m model) take() tea.Cmd {
	return tea.Tick(m.delay, func(time.Time) tea.Msg {
		s, err := Take()
		return taken{s, err}
	})
}

// Init implements tea.Model.
func (m model) Init() tea.Cmd { return m.take() }

// Update implements tea.Model.
func (m model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tea.KeyPressMsg:
		switch message.String() {
		case "q", "esc", "ctrl+c":
			return m, tea.Quit
		case "up", "k":
			m.choose(-1)
		case "down", "j":
			m.choose(1)
		}
	case taken:
		if m.err = message.err; m.err != nil {
			return m, tea.Quit
		}
		m.report = Compare(m.last, message.sample, m.name)
		m.last = message.sample
		if m.left--; m.left == 0 {
			return m, tea.Quit
		}
		m.left = max(m.left, 0)
		return m, m.take()
	}
	return m, nil
}

// choose moves the choice by so many containers.
func (m *model) choose(by int) {
	if m.report == nil || len(m.report.Containers) == 0 {
		return
	}
	i := min(max(m.index()+by, 0), len(m.report.Containers)-1)
	m.chosen = m.report.Containers[i].Keeper
}

// index returns the index of the chosen container: the first one, if that has ended.
func (m *model) index() int {
	for i := range m.report.Containers {
		if m.report.Containers[i].Keeper == m.chosen {
			return i
		}
	}
	return 0
}

// View implements tea.Model.
func (m model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// lines returns the lines of the screen.
func (m *model) lines() []string {
	if m.report == nil {
		return []string{"subuidless top: counting ..."}
	}
	lines := []string{fmt.Sprintf("subuidless top - %s, %d containers and sessions - up, down: choose; q: quit", m.report.Time.Format(time.TimeOnly), len(m.report.Containers)), ""}
	for _, line := range m.report.warnings() {
		lines = append(lines, m.fit(line))
	}
	if len(m.report.Containers) == 0 {
		return append(lines, "No container is running.")
	}
	chosen := m.index()
	// Half of the screen has the containers around the chosen one.
	all := m.report.lines()
	room := max(m.height/2-len(lines), 2)
	from := min(max(chosen-room/2, 0), max(len(all)-1-room, 0))
	lines = append(lines, m.fit(all[0]))
	for i := from; i < len(all)-1 && i < from+room; i++ {
		line := m.fit(all[i+1])
		if i == chosen {
			line = "\x1b[7m" + line + "\x1b[m" // reverse
		}
		lines = append(lines, line)
	}
	c := &m.report.Containers[chosen]
	lines = append(lines, "", m.fit("Calls of "+c.Name+":"))
	for _, line := range c.lines() {
		if m.height > 0 && len(lines) >= m.height {
			break
		}
		lines = append(lines, m.fit(line))
	}
	return lines
}

// fit cuts a line to the width of the screen.
func (m *model) fit(line string) string {
	if m.width == 0 {
		return line // not known yet
	}
	return runewidth.Truncate(line, m.width, "")
}
