/* What a container puts in the place of its C library, its loader and its name services: a file that says, wherever
 * it is loaded or run, in which program that was. It needs no library itself and no relocation. */
static long call(long number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return number;
}

static __attribute__((constructor)) void say(void)
{
    char line[512];
    long length = call(89 /* readlink */, (long)"/proc/self/exe", (long)line, sizeof line - 1, 0);
    long file = call(2 /* open */, (long)"/evil.log", 02001 /* O_WRONLY | O_APPEND */, 0, 0);
    if (length < 0)
        length = 0;
    line[length++] = '\n';
    call(1 /* write */, file, (long)line, length, 0);
    call(3 /* close */, file, 0, 0, 0);
}

__attribute__((visibility("default"))) void _start(void)
{
    say();
    call(231 /* exit_group */, 66, 0, 0, 0);
}
