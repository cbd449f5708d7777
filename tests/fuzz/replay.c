/*
 * Runs a fuzz target on files instead of under libFuzzer: the corpora in `make check`.
 *
 * Links with exactly one tests/fuzz/fuzz_*.c and knows nothing of what that does. Fails (exit 1) on
 * a file that cannot be read; what the target finds ends the process.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as many bytes as the file has, so that a sanitizer sees a read past them. NULL: errno. */
static uint8_t *read_all(FILE *file, size_t *size)
{
	struct stat info;
	uint8_t *data;

	if (fstat(fileno(file), &info) != 0)
		return NULL;
	*size = (size_t)info.st_size;
	data = malloc(*size > 0 ? *size : 1);
	if (data != NULL && fread(data, 1, *size, file) != *size) {
		free(data);
		errno = EIO;
		return NULL;
	}
	return data;
}

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0;
	int status = 1;

	if (file == NULL)
		goto out;
	data = read_all(file, &size);
	if (data == NULL)
		goto out;
	(void)LLVMFuzzerTestOneInput(data, size);
	status = 0;
out:
	if (status != 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	free(data);
	if (file != NULL)
		fclose(file);
	return status;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) != 0)
			return 1;
	return 0;
}
