# Everything is one static binary, also the tests.
export CGO_ENABLED = 0

.PHONY: build test oracle bench generate lint vet-arm64 clean

build:
	go build -trimpath -o subuidless ./cmd/subuidless

# As root on Debian, prepare installs what the tests need and lacks.
test: lint vet-arm64
	test/prepare
	go test -count=1 ./...

# make oracle N=100000 SEED=1 FS=ext4,tmpfs,overlay: docs/oracle.md
N = 10000
SEED = 1
FS = ext4,tmpfs,overlay
oracle:
	test/prepare
	go run ./test/oracle -n $(N) -seed $(SEED) -fs $(FS) -keep test/oracle/testdata

# All of the test suites in docs/suites.md, of which test runs the quick tests.
suites: export SUBUIDLESS_SUITES = all
suites:
	test/prepare
	go test -count=1 -v -timeout=90m -run='^TestSuites$$' ./test

bench:
	go run ./bench -aims

generate:
	go generate ./...

lint:
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt would change: $$files"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

vet-arm64: export GOARCH = arm64
vet-arm64:
	go build ./...
	go vet ./...

clean:
	rm -f subuidless
