package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

const cFiles = 100

// generateCProject writes a project of small C files, each with typical includes and a
// few functions.
func generateCProject(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(name string, text *template.Template, value any) error {
		var content strings.Builder
		if err := text.Execute(&content, value); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), []byte(content.String()), 0o644)
	}
	units := make([]string, cFiles)
	for i := range units {
		units[i] = fmt.Sprintf("unit%03d", i)
		if err := write(units[i]+".c", cUnit, units[i]); err != nil {
			return err
		}
	}
	if err := write("project.h", cHeader, units); err != nil {
		return err
	}
	if err := write("main.c", cMain, units); err != nil {
		return err
	}
	return write("Makefile", cMakefile, units)
}

func parse(name, text string) *template.Template {
	return template.Must(template.New(name).Parse(text))
}

var cMakefile = parse("Makefile", `CFLAGS = -O1 -Wall
OBJECTS = $(OUT)/main.o{{range .}} $(OUT)/{{.}}.o{{end}}

$(OUT)/program: $(OBJECTS)
	gcc -o $@ $(OBJECTS)

$(OUT)/%.o: %.c project.h
	gcc $(CFLAGS) -c -o $@ $<
`)

var cHeader = parse("project.h", `#ifndef PROJECT_H
#define PROJECT_H

#include <stddef.h>
#include <stdint.h>

struct entry {
	struct entry *next;
	uint64_t hash;
	size_t uses;
	char key[32];
};
{{range .}}
int {{.}}_run(int argc, char **argv);{{end}}

#endif
`)

var cMain = parse("main.c", `#include "project.h"

int main(int argc, char **argv)
{
	int failed = 0;
{{range .}}
	failed |= {{.}}_run(argc, argv);{{end}}
	return failed;
}
`)

var cUnit = parse("unit.c", `#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "project.h"

#define BUCKETS 64

static struct entry *{{.}}_table[BUCKETS];

static uint64_t hash(const char *text)
{
	uint64_t h = 14695981039346656037u;
	for (; *text; text++) {
		h ^= (unsigned char)*text;
		h *= 1099511628211u;
	}
	return h;
}

static struct entry *find(const char *key)
{
	uint64_t h = hash(key);
	for (struct entry *e = {{.}}_table[h % BUCKETS]; e; e = e->next)
		if (e->hash == h && !strcmp(e->key, key))
			return e;
	return NULL;
}

static struct entry *insert(const char *key)
{
	struct entry *e = find(key);
	if (e) {
		e->uses++;
		return e;
	}
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->hash = hash(key);
	e->uses = 1;
	snprintf(e->key, sizeof e->key, "%s", key);
	e->next = {{.}}_table[e->hash % BUCKETS];
	{{.}}_table[e->hash % BUCKETS] = e;
	return e;
}

static int by_uses(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
	if (x->uses != y->uses)
		return x->uses < y->uses ? 1 : -1;
	return strcmp(x->key, y->key);
}

static int read_words(const char *path)
{
	char word[32];
	size_t length = 0;
	int c;
	FILE *f = fopen(path, "r");

	if (!f) {
		fprintf(stderr, "{{.}}: %s: %s\n", path, strerror(errno));
		return -1;
	}
	while ((c = getc(f)) != EOF) {
		if (isalnum(c)) {
			if (length < sizeof word - 1)
				word[length++] = tolower(c);
			continue;
		}
		if (!length)
			continue;
		word[length] = 0;
		length = 0;
		if (!insert(word)) {
			fclose(f);
			return -1;
		}
	}
	return fclose(f);
}

static int report(void)
{
	size_t count = 0, capacity = 0;
	struct entry **sorted = NULL;

	for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
		for (struct entry *e = {{.}}_table[bucket]; e; e = e->next) {
			if (count == capacity) {
				capacity = capacity ? 2 * capacity : 16;
				struct entry **grown = realloc(sorted, capacity * sizeof *sorted);
				if (!grown) {
					free(sorted);
					return -1;
				}
				sorted = grown;
			}
			sorted[count++] = e;
		}
	}
	if (count)
		qsort(sorted, count, sizeof *sorted, by_uses);
	for (size_t i = 0; i < count; i++)
		printf("%-31s %zu\n", sorted[i]->key, sorted[i]->uses);
	free(sorted);
	return 0;
}

int {{.}}_run(int argc, char **argv)
{
	struct stat st;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st) < 0 || !S_ISREG(st.st_mode) || access(argv[i], R_OK) < 0)
			continue;
		if (read_words(argv[i]) < 0)
			return 1;
	}
	return report() < 0;
}
`)
