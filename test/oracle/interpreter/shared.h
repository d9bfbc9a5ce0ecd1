// The memory that the runner (wire.go) fills with a program and that all actors share.
#include "raw.h"

#define BASE 0x200000000UL // where every actor has it
#define LIMIT (1UL << 20)  // its size; nothing is mapped behind it
#define IMAGE 0x10000	   // offset of the interpreter's own binary, which programs may copy
#define PROGRAM 0x40000	   // offset of the program
#define TREE 0xa0000	   // offset of the dump

enum {
	SHARED_FD = 1000, // survive execve(2); programs do not use these numbers
	INPUT_FD,
	OUTPUT_FD,
	PINNED_FD,
	ACTORS = 6, // the first is the coordinator
	VARIABLES = 64,
};

#define PINNED "1003"

// Numbers that are not system calls.
enum { FORK = 100000, THREAD, MAP, ENTER };

// Instead of a return value.
enum { DEAD = -5000, HUNG = -5001 };

// How a call writes to a file, and may clear its set-id bits (known.go).
enum clears { NOTHING, FD, AT, PATH };

enum kind { NUMBER, VARIABLE, PROCESS, TASK };

struct op {
	uint32_t actor, nr;
	uint32_t store; // the variable that receives the return value
	uint8_t kind[8];
	uint32_t clears; // enum clears
	int64_t argument[6];
	int64_t result;
};

struct slot {
	uint32_t turn; // futex
	uint32_t alive;
	int32_t process, task;
};

struct shared {
	struct slot slots[ACTORS];
	int64_t variables[VARIABLES];
	uint32_t next, running;
	uint32_t image; // size
	uint32_t real;	// this is the side of real root
	uint32_t mend_task, mend_mode;
};

struct program {
	uint32_t size; // of all, in bytes
	uint32_t ops;
	uint32_t chroot, ipc; // booleans: in a root directory, in an IPC namespace of its own
	struct op op[];
};

static struct shared *const shared = (struct shared *)BASE;
static struct program *const program = (struct program *)(BASE + PROGRAM);
