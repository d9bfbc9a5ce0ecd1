package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/prepared"
	"github.com/rootless-containers/subuidless/internal/image/running"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

func newRmCommand() *cobra.Command {
	var which containerFlags
	var force bool
	cmd := &cobra.Command{
		Use: "rm [flags] CONTAINER...",
		RunE: func(cmd *cobra.Command, args []string) error {
			which.forced = force
			return which.change(cmd, args, func(c *store.Container) error {
				return running.Remove(c, force)
			})
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill running containers, and do not fail if there is no such container")
	cmd.Flags().BoolP("volumes", "v", true, "accepted as in docker: volumes without a name always go with their container")
	which.add(cmd, "all containers", nil)
	return cmd
}

func newStopCommand() *cobra.Command {
	var which containerFlags
	var how stopFlags
	cmd := &cobra.Command{
		Use: "stop [flags] CONTAINER...",
		Long: `Send containers their stop signal (that of their image, or SIGTERM), and SIGKILL if
they have not ended in time.`,
		RunE: func(cmd *cobra.Command, args []string) error { return which.change(cmd, args, how.stop) },
	}
	how.add(cmd)
	which.add(cmd, allRunning, isUp)
	return cmd
}

// stopFlags say how containers are stopped.
type stopFlags struct {
	signal  string
	seconds int
}

func (f *stopFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.signal, "signal", "s", "", "`signal` to send (default that of --stop-signal or the image, or SIGTERM)")
	flags.IntVarP(&f.seconds, "time", "t", -1, "`seconds` to wait before SIGKILL (default 10, or those of --stop-timeout); also\n--timeout")
	flags.Lookup("time").DefValue = "0" // which is not shown: the usage has the default
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "timeout" {
			name = "time"
		}
		return pflag.NormalizedName(name)
	})
}

func (f *stopFlags) stop(c *store.Container) error {
	return running.Stop(c, f.signal, time.Duration(f.seconds)*time.Second)
}

func newKillCommand() *cobra.Command {
	var which containerFlags
	var signal string
	cmd := &cobra.Command{
		Use: "kill [flags] CONTAINER...",
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := running.ParseSignal(signal)
			if err != nil {
				return err
			}
			return which.change(cmd, args, func(c *store.Container) error {
				switch {
				case !c.Running:
					return fmt.Errorf("container %s is not running", c.Name)
				case number == unix.SIGKILL:
					return running.Kill(c)
				}
				return running.Signal(c, number)
			})
		},
	}
	cmd.Flags().StringVarP(&signal, "signal", "s", "SIGKILL", "`signal` to send: its name or number")
	which.add(cmd, allRunning, isUp)
	return cmd
}

func newPauseCommand() *cobra.Command {
	var which containerFlags
	cmd := &cobra.Command{
		Use:  "pause [flags] CONTAINER...",
		Long: `Stop all processes of containers with SIGSTOP, until subuidless unpause.`,
		RunE: func(cmd *cobra.Command, args []string) error { return which.change(cmd, args, running.Pause) },
	}
	which.add(cmd, allRunning, func(c *store.Container) bool { return container.State(c) == container.StateRunning })
	return cmd
}

func newUnpauseCommand() *cobra.Command {
	var which containerFlags
	cmd := &cobra.Command{
		Use:  "unpause [flags] CONTAINER...",
		RunE: func(cmd *cobra.Command, args []string) error { return which.change(cmd, args, running.Unpause) },
	}
	which.add(cmd, "all paused containers", func(c *store.Container) bool { return container.State(c) == container.StatePaused })
	return cmd
}

func newStartCommand() *cobra.Command {
	var where cli.StoreFlags
	var attach, interactive bool
	cmd := &cobra.Command{
		Use: "start [flags] CONTAINER...",
		Long: `Run containers with the command and flags with which they were created, in the
background unless --attach is given.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if attach && len(args) > 1 {
				return errors.New("start --attach: only one container can be connected")
			}
			return changeContainers(cmd, where, args, func(c *store.Container) error {
				lock, err := c.Lock()
				if errors.Is(err, storedir.ErrRunning) && !attach {
					err = nil // as docker does
				} else if err == nil && attach {
					cli.Exit(launch.StatusFailed, (&prepared.Container{Dir: c.Dir, Lock: lock.File}).Exec(mainProgram))
				} else if err == nil {
					_, err = running.Detach(mainProgram, c, lock)
				}
				return err
			})
		},
		ValidArgsFunction: containerNames,
	}
	cmd.Flags().BoolVarP(&attach, "attach", "a", false, "run it in the foreground, and return its exit status")
	cmd.Flags().BoolVarP(&interactive, "interactive", "i", false, "accepted as in docker: with --attach, standard input is always connected")
	where.Add(cmd)
	return cmd
}

func newRestartCommand() *cobra.Command {
	var which containerFlags
	var how stopFlags
	cmd := &cobra.Command{
		Use: "restart [flags] CONTAINER...",
		RunE: func(cmd *cobra.Command, args []string) error {
			return which.change(cmd, args, func(c *store.Container) error {
				if err := how.stop(c); err != nil {
					return err
				}
				lock, err := c.Lock()
				if err != nil {
					return err
				}
				_, err = running.Detach(mainProgram, c, lock)
				return err
			})
		},
	}
	how.add(cmd)
	which.add(cmd, "all containers, whether they run or not", nil)
	return cmd
}

func newWaitCommand() *cobra.Command {
	var where cli.StoreFlags
	cmd := &cobra.Command{
		Use:  "wait CONTAINER...",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forContainers(where, args, func(_ *store.Store, c *store.Container) error {
				w, err := c.Waiter()
				if err != nil {
					return err
				}
				defer w.Close()
				status, err := w.Wait()
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), status)
				return nil
			})
		},
		ValidArgsFunction: containerNames,
	}
	where.Add(cmd)
	return cmd
}

func newRenameCommand() *cobra.Command {
	var where cli.StoreFlags
	cmd := &cobra.Command{
		Use:  "rename CONTAINER NAME",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return forContainers(where, args[:1], func(s *store.Store, c *store.Container) error {
				return s.Rename(c, args[1])
			})
		},
		ValidArgsFunction: containerNames,
	}
	where.Add(cmd)
	return cmd
}

// forContainers calls f with each of the containers that args name.
func forContainers(where cli.StoreFlags, args []string, f func(*store.Store, *store.Container) error) error {
	return eachContainer(where, args, false, f)
}

// eachContainer is forContainers. With forced set, it also calls f with damaged containers, of which hardly
// anything is known, and it is no error if there is no such container.
func eachContainer(where cli.StoreFlags, args []string, forced bool, f func(*store.Store, *store.Container) error) error {
	s, err := openStore(where)
	if err != nil {
		return err
	}
	var errs []error
	for _, arg := range args {
		c, err := s.FindContainer(arg)
		if d := (*store.DamagedContainer)(nil); forced && errors.As(err, &d) {
			c, err = d.Container, nil
		}
		if forced && errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = f(s, c)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// containerFlags say which containers a command changes.
type containerFlags struct {
	where cli.StoreFlags
	all   bool
	among func(*store.Container) bool // those of all that are meant; nil: each

	forced bool // as in eachContainer
}

// allRunning are the containers that --all means for most commands.
const allRunning = "all containers that run"

// add adds the flags, the arguments and their completion to a command. What describes the containers
// that --all means: those for which among is true, or each if it is nil.
func (f *containerFlags) add(cmd *cobra.Command, what string, among func(*store.Container) bool) {
	f.among = among
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, what+", instead of those that are named")
	f.where.Add(cmd)
	cmd.ValidArgsFunction = containerNames
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if f.all && len(args) > 0 {
			return errors.New("--all and the names of containers cannot be combined")
		}
		if f.all {
			return nil
		}
		return cobra.MinimumNArgs(1)(cmd, args)
	}
}

// change calls f with each of the containers, and prints the names of those that it has changed.
func (f *containerFlags) change(cmd *cobra.Command, args []string, change func(*store.Container) error) error {
	if f.all {
		s, err := openStore(f.where)
		if err != nil {
			return err
		}
		containers, damaged, err := s.Containers()
		if err != nil {
			return err
		}
		for _, c := range containers {
			if f.among == nil || f.among(c) {
				args = append(args, c.ID)
			}
		}
		for _, d := range damaged {
			if f.among == nil || d.Container.Running {
				args = append(args, d.Container.ID)
			}
		}
	}
	return eachContainer(f.where, args, f.forced, printChanged(cmd, change))
}

// changeContainers is forContainers, and prints the name of each container that f has changed.
func changeContainers(cmd *cobra.Command, where cli.StoreFlags, args []string, f func(*store.Container) error) error {
	return forContainers(where, args, printChanged(cmd, f))
}

func printChanged(cmd *cobra.Command, f func(*store.Container) error) func(*store.Store, *store.Container) error {
	return func(_ *store.Store, c *store.Container) error {
		err := f(c)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), c.Name)
		}
		return err
	}
}

// containerNames completes the names of containers.
func containerNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s, err := openStore(cli.StoreFlags{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	containers, damaged, err := s.Containers()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, d := range damaged { // for rm
		containers = append(containers, d.Container)
	}
	var names []string
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
