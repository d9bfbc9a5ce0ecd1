#!/bin/sh -eu
# Compiles this directory to OUTPUT, as code.amd64.bin is made: build.sh OUTPUT
# The same compiler and linker give the same file: TestCodeIsFresh compares it. OPTIONS are more
# options of the compiler.
output=$1
here=$(dirname "$0")
object=$output.elf
trap 'rm -f "$object"' EXIT
# Registers and the stack: general registers only, and no red zone, of which signal handlers of
# the program know nothing. No protection that needs a libc, and nothing that depends on the
# machine that compiles.
set --
for file in entry.S answer.c directory.c inode.c names.c open.c record.c status.c xattr.c; do
	set -- "$@" "$here/$file"
done
gcc -std=gnu11 -O2 -march=x86-64 -mtune=generic -mgeneral-regs-only -mno-red-zone -ffreestanding -fno-builtin \
	-fPIC -fvisibility=hidden -fno-plt -fno-jump-tables -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fomit-frame-pointer -fno-tree-vectorize -Wall -Wextra -Werror \
	${OPTIONS-} -nostdlib -static -no-pie -Wl,-e,0 -Wl,-T,"$here/code.lds" -Wl,--build-id=none -Wl,--no-warn-rwx-segments -Wl,-z,noexecstack \
	-o "$object" "$@"
objcopy -O binary -j .image "$object" "$output"
chmod 644 "$output"
