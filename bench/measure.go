package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// measure is the second stage: it times every selected row in every selected column and
// prints the table.
func measure(ctx context.Context, o options) error {
	w := workdir(o.prepared)
	measured, err := measureAll(ctx, w, o)
	if err != nil {
		return err
	}
	heading, err := describe(o)
	if err != nil {
		return err
	}
	fmt.Println(heading)
	fmt.Println()
	fmt.Print(measured.wall.text())
	if measured.cpu.any() {
		fmt.Print("\n", cpuHeading, "\n\n", measured.cpu.text())
	}
	if comparison := measured.wall.comparison(o.compare); comparison != "" {
		fmt.Print("\n", comparison)
	}
	if o.aims {
		fmt.Println()
		for _, aim := range aims {
			fmt.Println(aim.judge(measured.wall))
		}
	}
	tables := heading + "\n\n" + measured.wall.markdown()
	if measured.cpu.any() {
		tables += "\n" + cpuHeading + "\n\n" + measured.cpu.markdown()
	}
	return errors.Join(
		os.WriteFile(w.markdown(), []byte(tables), 0o644),
		os.WriteFile(w.svg(), []byte(measured.wall.plot()), 0o644))
}

const cpuHeading = "CPU time of everything that a command starts, in seconds of one CPU:"

// measurement is the wall time of all rows, and the CPU time of those that are whole commands.
type measurement struct{ wall, cpu *results }

func measureAll(ctx context.Context, w workdir, o options) (*measurement, error) {
	columns := available(o.compare.columns(), func(c column) (string, string) { return c.name, missing(c.needs...) }, o.columns)
	rows := available(rows, func(r row) (string, string) { return r.name, r.lacks(w) }, o.rows)
	if len(rows) == 0 || len(columns) == 0 {
		return nil, errors.New("nothing to measure")
	}
	commands := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.printsNanoseconds })
	measured := &measurement{wall: newResults(rows, columns), cpu: newResults(commands, columns)}
	for _, r := range rows {
		if r.prepare != nil {
			if err := r.prepare(w.fixtures()); err != nil {
				return nil, fmt.Errorf("preparing %s: %w", r.name, err)
			}
		}
		rounds := roundsOf(r, o.rounds)
		fmt.Fprintf(os.Stderr, "bench: %s, rounds: %d\n", r.name, rounds)
		if err := measureRow(ctx, w, r, columns, rounds, measured); err != nil {
			return nil, err
		}
	}
	return measured, nil
}

// available returns the items that are selected and can run on this machine. It reports
// selected items that cannot.
func available[T any](all []T, describe func(T) (name, lacks string), wanted pattern) []T {
	return slices.DeleteFunc(slices.Clone(all), func(item T) bool {
		name, reason := describe(item)
		if !wanted.matches(name) {
			return true
		}
		if reason != "" {
			fmt.Fprintf(os.Stderr, "bench: %s skipped: %s\n", name, reason)
		}
		return reason != ""
	})
}

func roundsOf(r row, rounds int) int {
	if r.slow {
		return max(1, rounds/2)
	}
	return rounds
}

// measureRow alternates the columns, so that a slow minute of the machine affects all of
// them. Each round begins with a different column, so that none always runs after the
// same one.
func measureRow(ctx context.Context, w workdir, r row, columns []column, rounds int, measured *measurement) error {
	columns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return !r.runsIn(c) })
	wall, cpu := make([][]float64, len(columns)), make([][]float64, len(columns))
	for round := range rounds {
		for turn := range columns {
			i := (round + turn) % len(columns)
			c, err := timeOnce(ctx, w, columns[i], r)
			if err != nil {
				return fmt.Errorf("%s in column %s: %w", r.name, columns[i].name, err)
			}
			wall[i] = append(wall[i], c.wall)
			if c.cpu > 0 {
				cpu[i] = append(cpu[i], c.cpu)
			}
		}
	}
	for i, c := range columns {
		measured.wall.set(r.name, c.name, median(wall[i]))
		if len(cpu[i]) > 0 {
			measured.cpu.set(r.name, c.name, median(cpu[i]))
		}
	}
	return nil
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
