# Everything is one static binary, including the tests.
export CGO_ENABLED = 0

.PHONY: help build release recording check test oracle soak unharmed kernels suites bench generate lint vet-arm64 clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

build: ## Build the binary ./subuidless
	cmd/build subuidless -trimpath

release: ## Make packages, archives, SBOMs and checksums in ./dist, for amd64 and arm64
	rm -rf dist
	go run ./release -out dist

recording: build ## Run the transcript of README.md, as root, and draw docs/recording.svg
	go run ./test/recording -o docs/recording.svg subuidless

check: ## Run the linters and the unit tests, in about a minute; needs neither root nor packages
	@go run ./test/stage check

test: ## Run everything; as root on Debian, first install and build what the tests need
	@go run ./test/stage test

N = 10000
SEED = 1
FS = ext4,tmpfs,overlay
oracle: ## Run the differential fuzzer, as root: N=10000 SEED=1 FS=ext4,tmpfs,overlay,btrfs,xfs (docs/internals/oracle.md)
	test/prepare
	go run ./test/oracle -n $(N) -seed $(SEED) -fs $(FS) -keep test/oracle/testdata

suites: export SUBUIDLESS_SUITES = all
suites: ## Run the complete test suites of acl, attr, coreutils, tar and Python, as root (docs/suites.md)
	@go run ./test/stage suites

MINUTES = 1
soak: ## Kill supervisors and tasks at random while calls are checked: MINUTES=60 SEED=1
	go run ./test/soak -minutes $(MINUTES) -seed $(SEED)

KILLS = 50
unharmed: ## Disturb accelerated processes, as root: MINUTES=30 of signals, KILLS=500 of workers and of keepers
	test/prepare
	SUBUIDLESS_STORM=$$(($(MINUTES) * 12)) SUBUIDLESS_KILLS=$(KILLS) go test ./test -v -count 1 -timeout 0 \
		-run '^(TestUnharmed.*|TestAcceleratedStorm|TestAcceleratedWith.*Killed)$$'

kernels: ## Run checks on Debian's kernels in qemu, as root on Debian, and write docs/kernels.md
	test/kernels/run -o docs/kernels.md

COMPARE =
bench: ## Measure, and compare with other binaries: COMPARE=before=/path/to/subuidless (bench/README.md)
	go run ./bench -aims $(foreach c,$(COMPARE),-compare $(c))

generate: ## Generate the tables of system calls and docs/syscalls.md
	go generate ./...

lint: ## Run gofmt, go vet and staticcheck
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt would change: $$files"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

vet-arm64: export GOARCH = arm64
vet-arm64: ## Build and vet for arm64
	go build ./...
	go vet ./...

clean: ## Remove the binary and the release
	rm -rf subuidless dist
