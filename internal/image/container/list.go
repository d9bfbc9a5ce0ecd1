package container

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/storedir"

	"github.com/rootless-containers/subuidless/internal/image/store"
)

// Row is a container as docker ps prints it, by the names of docker's fields.
type Row struct {
	ID         string
	Image      string
	ImageID    string
	Command    string
	CreatedAt  string
	RunningFor string
	Ports      string
	State      string
	Status     string
	Names      string
	Labels     string
	Mounts     string
	Networks   string
	Pid        int
	ExitCode   int
	Size       string

	labels map[string]string
}

// Label returns the value of a label, for templates.
func (r Row) Label(key string) string { return r.labels[key] }

// The states of a container, as docker names them.
const (
	StateCreated = "created"
	StateRunning = "running"
	StatePaused  = "paused"
	StateExited  = "exited"
)

// State returns the state of a container.
func State(c *store.Container) string {
	switch {
	case c.Running && !c.State.Started.IsZero() && c.Paused():
		return StatePaused
	case c.Running && !c.State.Started.IsZero():
		return StateRunning
	case c.State.Started.IsZero():
		return StateCreated
	}
	return StateExited
}

// RowOf returns the row of a container. Full means that nothing is shortened.
func RowOf(c *store.Container, full bool) Row {
	command := strings.Join(c.Command, " ")
	id, image := c.ID, strings.TrimPrefix(c.ImageID, "sha256:")
	if !full {
		id, image = id[:12], image[:min(12, len(image))]
		if runes := []rune(command); len(runes) > 20 {
			command = string(runes[:19]) + "…"
		}
	}
	r := Row{
		ID: id, Image: c.Image, ImageID: image, labels: c.Labels, Command: strconv.Quote(command),
		CreatedAt: c.Created.Format("2006-01-02 15:04:05 -0700 MST"), RunningFor: Duration(time.Since(c.Created)) + " ago",
		State: State(c), Status: Status(c), Names: c.Name, Networks: c.Settings.Net, Ports: strings.Join(c.Settings.Ports, ", "), Pid: c.State.Init, ExitCode: c.State.ExitCode,
	}
	var labels, mounts []string
	for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
		labels = append(labels, k+"="+c.Labels[k])
	}
	for _, m := range c.Settings.Mounts {
		switch {
		case m.Volume != "":
			mounts = append(mounts, m.Volume)
		case m.Tmpfs == nil:
			mounts = append(mounts, m.Source)
		}
	}
	r.Labels, r.Mounts = strings.Join(labels, ","), strings.Join(mounts, ",")
	return r
}

// Status returns the state of a container in words, as docker does.
func Status(c *store.Container) string {
	switch State(c) {
	case StateCreated:
		return "Created"
	case StateRunning, StatePaused:
		text := "Up " + Duration(time.Since(c.State.Started))
		switch h := c.State.Health; {
		case c.Paused():
			text += " (Paused)"
		case h == nil:
		case h.Status == running.Starting:
			text += " (health: starting)"
		default:
			text += " (" + h.Status + ")"
		}
		return text
	}
	return fmt.Sprintf("Exited (%d) %s ago", c.State.ExitCode, Duration(time.Since(c.State.Finished)))
}

// Duration returns a duration in words, as docker does.
func Duration(d time.Duration) string {
	seconds, minutes, hours := int(d.Seconds()), int(d.Minutes()), int(d.Hours()+0.5)
	switch {
	case seconds < 1:
		return "Less than a second"
	case seconds == 1:
		return "1 second"
	case seconds < 60:
		return fmt.Sprintf("%d seconds", seconds)
	case minutes == 1:
		return "About a minute"
	case minutes < 60:
		return fmt.Sprintf("%d minutes", minutes)
	case hours == 1:
		return "About an hour"
	case hours < 48:
		return fmt.Sprintf("%d hours", hours)
	case hours < 24*7*2:
		return fmt.Sprintf("%d days", hours/24)
	case hours < 24*30*2:
		return fmt.Sprintf("%d weeks", hours/24/7)
	case hours < 24*365*2:
		return fmt.Sprintf("%d months", hours/24/30)
	}
	return fmt.Sprintf("%d years", int(d.Hours())/24/365)
}

// Filter reports whether a container is wanted.
type Filter func(*store.Container) bool

// ParseFilters returns the filter of docker's --filter KEY=VALUE. Values of one key are
// alternatives; all keys must fit. ByState means that a filter is about the state, so that
// containers that do not run are wanted, too.
func ParseFilters(s *store.Store, texts []string) (f Filter, byState bool, err error) {
	byKey := map[string][]Filter{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, false, fmt.Errorf("filter %q: must be KEY=VALUE", text)
		}
		one, err := parseFilter(s, key, value)
		if err != nil {
			return nil, false, err
		}
		group := key
		if key == "label" { // all labels must fit
			group = text
		}
		byKey[group] = append(byKey[group], one)
		byState = byState || key == "status" || key == "exited"
	}
	return func(c *store.Container) bool {
		for _, list := range byKey {
			if !slices.ContainsFunc(list, func(f Filter) bool { return f(c) }) {
				return false
			}
		}
		return true
	}, byState, nil
}

func parseFilter(s *store.Store, key, value string) (Filter, error) {
	switch key {
	case "id":
		return func(c *store.Container) bool { return strings.HasPrefix(c.ID, value) }, nil
	case "name":
		return func(c *store.Container) bool { return strings.Contains(c.Name, value) }, nil
	case "ancestor":
		return func(c *store.Container) bool {
			return c.Image == value || strings.HasPrefix(strings.TrimPrefix(c.ImageID, "sha256:"), value)
		}, nil
	case "status":
		switch value {
		case StateCreated, StateRunning, StatePaused, StateExited:
			return func(c *store.Container) bool { return State(c) == value }, nil
		}
		return nil, fmt.Errorf("filter status=%s: must be %s, %s, %s or %s", value, StateCreated, StateRunning, StatePaused, StateExited)
	case "exited":
		n, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("filter exited=%s: must be an exit status", value)
		}
		return func(c *store.Container) bool { return State(c) == StateExited && c.State.ExitCode == n }, nil
	case "health":
		return func(c *store.Container) bool {
			if c.State.Health == nil {
				return value == "none"
			}
			return c.State.Health.Status == value
		}, nil
	case "volume":
		return func(c *store.Container) bool {
			return slices.ContainsFunc(c.Settings.Mounts, func(m storedir.Mount) bool {
				return m.Volume == value || m.Source == value || m.Destination == value
			})
		}, nil
	case "before", "since":
		other, err := s.FindContainer(value)
		if err != nil {
			return nil, err
		}
		return func(c *store.Container) bool {
			if key == "before" {
				return c.Created.Before(other.Created)
			}
			return c.Created.After(other.Created)
		}, nil
	case "label":
		return func(c *store.Container) bool { return store.HasLabel(c.Labels, value) }, nil
	}
	return nil, fmt.Errorf("filter %s: must be ancestor, before, exited, health, id, label, name, since, status or volume", key)
}
