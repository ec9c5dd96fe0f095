/* The little of a C library that a strategy needs. Each call of a strategy gets
 * a fresh instance, so nothing is ever given back: memory is handed out from
 * front to back, and the host takes all of it when the call is over. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 65536, ALIGN = 16 };

extern unsigned char __heap_base; /* set by the linker: where the heap begins */

static uintptr_t next;

void *malloc(size_t size)
{
	uintptr_t begin, end, there;

	if (next == 0)
		next = (uintptr_t)&__heap_base;
	/* The size stands before the memory, for realloc. */
	begin = (next + sizeof(size_t) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
	end = begin + size;
	if (end < begin)
		abort();
	there = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
	if (end > there) {
		uintptr_t pages = (end - there + PAGE - 1) / PAGE;

		if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX)
			abort();
	}
	((size_t *)begin)[-1] = size;
	next = end;
	return (void *)begin;
}

void *realloc(void *memory, size_t size)
{
	size_t before;
	void *moved;

	if (memory == NULL)
		return malloc(size);
	before = ((size_t *)memory)[-1];
	if (size <= before)
		return memory;
	moved = malloc(size);
	memcpy(moved, memory, before);
	return moved;
}

void free(void *memory)
{
	(void)memory;
}

void abort(void)
{
	__builtin_trap();
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	if ((uintptr_t)to < (uintptr_t)from) {
		for (size_t i = 0; i < size; i++)
			out[i] = in[i];
	} else {
		for (size_t i = size; i > 0; i--)
			out[i - 1] = in[i - 1];
	}
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	unsigned char *out = to;

	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)byte;
	return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
	const unsigned char *a = left, *b = right;

	for (size_t i = 0; i < size; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length] != '\0')
		length++;
	return length;
}
