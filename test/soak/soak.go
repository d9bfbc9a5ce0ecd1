package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// patience is how long something may take that takes an instant on an idle machine, or, as a build, a
// few seconds.
const patience = 3 * time.Minute

// settle is how long the containers run undisturbed before they are measured.
const settle = time.Second

// soak runs everything, and prints the table. The error says that something in it is wrong.
func soak(ctx context.Context, o options) (err error) {
	if err := adopt(); err != nil {
		return err
	}
	for _, dir := range []string{"home", "run", "tmp", "files"} {
		if err := os.Mkdir(filepath.Join(o.dir, dir), 0o700); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(o.dir, "files"), 0o755); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(o.seed, 1))
	places, err := startPlaces(o, r)
	defer func() {
		killAll()
		for _, p := range places {
			p.await()
			if p.agent != nil {
				p.agent.await()
			}
		}
	}()
	if err != nil {
		return err
	}
	if err := awaitFirst(ctx, places); err != nil {
		return err
	}
	t := &table{options: o, started: time.Now(), places: places}
	err = t.measure(ctx)
	f := &faults{rand: r, places: places}
	for range halves {
		if err == nil {
			err = f.run(ctx, o.duration/halves)
		}
		if err == nil {
			err = t.measure(ctx)
		}
	}
	if err == nil {
		err = endPlaces(places)
	}
	if err == nil {
		err = t.leftovers()
	}
	t.print(os.Stdout)
	return errors.Join(err, t.verdict())
}

// halves is how many times the containers are measured after the first time.
const halves = 2

// pause waits for a time, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// awaitFirst waits until all jobs have begun.
func awaitFirst(ctx context.Context, places []*place) error {
	for _, p := range places {
		for end := time.Now().Add(patience); !p.begun(); pause(ctx, 10*time.Millisecond) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if time.Now().After(end) {
				return fmt.Errorf("%s has not begun:\n%s", p.name, p.said())
			}
		}
	}
	return nil
}

// awaitStandbys waits until all containers that have a standby have one that can take over.
func awaitStandbys(ctx context.Context, places []*place) error {
	for _, p := range places {
		for end := time.Now().Add(patience); p.hasStandby() && p.readyStandby() == 0; pause(ctx, 10*time.Millisecond) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if time.Now().After(end) {
				return fmt.Errorf("%s has no standby, and process %d is its witness (0: the first one):\n%s\n%s", p.name, p.watchedBy, p.said(), describeTasks())
			}
		}
	}
	return nil
}
