// Package cli has the parts of the command line that the main program and the image program
// share.
package cli

import "github.com/spf13/cobra"

// The groups of commands in the help of the root command.
const (
	GroupRun        = "run"
	GroupContainers = "containers"
	GroupEngine     = "engine"
	GroupImages     = "images"
	GroupRuntime    = "runtime"
	GroupOther      = "other"
)

// Groups are the groups with their titles, in the order of the help.
var Groups = []*cobra.Group{
	{ID: GroupRun, Title: "Run a command:"},
	{ID: GroupContainers, Title: "Work with containers of images:"},
	{ID: GroupEngine, Title: "Work with container engines:"},
	{ID: GroupImages, Title: "Work with images:"},
	{ID: GroupRuntime, Title: "Work with OCI runtimes:"},
	{ID: GroupOther, Title: "Other commands:"},
}

// ImageCommand is a command of the image program, as the main program knows it.
type ImageCommand struct{ Name, Group, Short string }

// ImageCommands are the commands of the image program, except for run, which both have.
var ImageCommands = []ImageCommand{
	{"attach", GroupContainers, "Connect to a container in the background"},
	{"build", GroupImages, "Build an image from a Dockerfile"},
	{"commit", GroupContainers, "Make an image of a container"},
	{"container", GroupContainers, "Docker's further names of commands: container ls, container prune, ..."},
	{"cp", GroupContainers, "Copy files between a container and the host"},
	{"create", GroupContainers, "Create a container of an image without running it"},
	{"diff", GroupContainers, "List the files that a container has added (A), changed (C) and deleted (D)"},
	{"export", GroupContainers, "Write the files of a container, except for volumes, to a tar archive"},
	{"history", GroupImages, "Show how an image was built"},
	{"image", GroupImages, "Docker's further names of commands: image ls, image rm, ..."},
	{"images", GroupImages, "List the images of the store"},
	{"info", GroupImages, "Show the store, what it has, and this machine"},
	{"inspect", GroupImages, "Print details of images and containers"},
	{"kill", GroupContainers, "Send a signal to the commands of containers"},
	{"load", GroupImages, "Read images from an archive or directory"},
	{"login", GroupImages, "Store credentials for a registry"},
	{"logout", GroupImages, "Remove stored credentials for a registry"},
	{"logs", GroupContainers, "Print what a container in the background has written"},
	{"pause", GroupContainers, "Stop the processes of containers until they are unpaused"},
	{"prune", GroupImages, "Remove stopped containers, images without a name, and leftovers"},
	{"ps", GroupContainers, "List the containers of images"},
	{"pull", GroupImages, "Fetch images from registries, archives or directories"},
	{"push", GroupImages, "Copy an image to a registry, archive or directory"},
	{"rename", GroupContainers, "Give a container another name"},
	{"restart", GroupContainers, "Stop containers, and start them in the background"},
	{"rm", GroupContainers, "Remove containers of images"},
	{"rmi", GroupImages, "Remove images"},
	{"save", GroupImages, "Write images to an archive or directory"},
	{"start", GroupContainers, "Start containers that have been created or have ended"},
	{"stop", GroupContainers, "Stop containers of images"},
	{"store", GroupImages, "Examine the store of images"},
	{"system", GroupImages, "Docker's further names of commands: system prune, system info"},
	{"tag", GroupImages, "Give an image further names"},
	{"top", GroupContainers, "Show containers and their emulated calls, or the processes of one"},
	{"unpause", GroupContainers, "Continue the processes of paused containers"},
	{"version", GroupImages, "Print the version"},
	{"volume", GroupContainers, "Create, list and remove named volumes of containers"},
	{"wait", GroupContainers, "Wait until containers have ended, and print their exit statuses"},
}
