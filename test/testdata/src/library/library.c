// A library with a call site, which is loaded and unloaded: see unharmed.c.
#include <fcntl.h>
#include <sys/stat.h>

long library_stat(const char *path, struct stat *st) {
	long r;
	register long r10 __asm__("r10") = 0;
	__asm__ volatile(".globl library_site\nlibrary_site: mov $262, %%eax\n	syscall" : "=a"(r) : "D"((long)AT_FDCWD), "S"(path), "d"(st), "r"(r10) : "rcx", "r11", "memory");
	return r;
}
