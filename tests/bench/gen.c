/* Makes the data of `make bench`: a sender table in csv, requests about it, the answers due.
 * The same options give the same bytes.
 *
 *   table.csv      row i: user<i>@d<i mod domains>.ZONE (example), in an order that is not sorted;
 *                  even rows belong to acct<i> of that domain, odd ones to the address itself
 *   requests.txt   70 % own sender, 10 % own with an extension, 10 % someone else's or nobody's,
 *                  5 % null sender, 5 % without a login
 *   answers.txt    one line a request, as `load -e` reads it
 *
 * -k own: own senders only, -k foreign: refused ones only, both of one row after the other, so that
 * no domain comes again before all others were there.
 *
 * Must not know how policyd decides: the answers follow from how the request was made. Fails with
 * a message and status 1, usage with 2. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADDRESS_SIZE = 64 };

enum kind { KIND_MIXED, KIND_OWN, KIND_FOREIGN };

struct plan {
	uint32_t rows;
	uint32_t requests;
	uint32_t domains;
	uint64_t random;
	enum kind kind;
	const char *zone;
	const char *folder;
};

/* splitmix64 */
static uint64_t next_random(struct plan *plan)
{
	uint64_t z = plan->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint32_t random_below(struct plan *plan, uint32_t bound)
{
	return (uint32_t)(next_random(plan) % bound);
}

static void format_address(
	const struct plan *plan, const char *name, uint32_t i, const char *extension, char *out)
{
	snprintf(out, ADDRESS_SIZE, "%s%u%s@d%u.%s", name, i, extension, i % plan->domains,
		plan->zone);
}

static void format_owner(const struct plan *plan, uint32_t i, char *out)
{
	format_address(plan, i % 2 == 0 ? "acct" : "user", i, "", out);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Steps through all rows by a stride that shares no divisor with their number: every row once,
 * none beside its neighbour, nothing to remember. */
static void write_table(struct plan *plan, FILE *out)
{
	uint64_t stride = (uint64_t)plan->rows * 5 / 8 + 1;
	uint64_t row = random_below(plan, plan->rows);

	while (common_divisor((uint32_t)stride, plan->rows) != 1)
		stride++;
	fputs("sender,owner,expires,comment\n", out);
	for (uint32_t n = 0; n < plan->rows; n++) {
		uint32_t i = (uint32_t)row;
		char sender[ADDRESS_SIZE], owner[ADDRESS_SIZE];

		format_address(plan, "user", i, "", sender);
		format_owner(plan, i, owner);
		fprintf(out, "%s,%s,%s,", sender, owner, i % 16 == 3 ? "2099-12-31" : "");
		if (i % 10 == 7)
			fprintf(out, "\"customer %u, imported\"", i);
		fputc('\n', out);
		row = (row + stride) % plan->rows;
	}
}

/* The 29 attributes of Postfix 3.7 at RCPT under TLS. */
static void write_request(struct plan *plan, const char *sender, const char *login, FILE *out)
{
	uint64_t r = next_random(plan);
	unsigned host = (unsigned)(r & 0xff), port = 1024 + (unsigned)((r >> 8) % 60000);

	fprintf(out,
		"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
		"client_address=192.0.2.%u\nclient_name=host-%u.dynamic.access-network.example\n"
		"client_port=%u\nreverse_client_name=host-%u.dynamic.access-network.example\n"
		"server_address=198.51.100.25\nserver_port=587\nhelo_name=laptop-%u.office.local\n"
		"sender=%s\nrecipient=mary.%u@mail.recipient-company.example\nrecipient_count="
		"0\nqueue_id=\n",
		host, host, port, host, host, sender, port);
	fprintf(out,
		"instance=%x.%x.%x.0\nsize=%u\netrn_domain=\nstress=\nsasl_method=%s\n"
		"sasl_username=%s\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
		"ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
		"encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n"
		"policy_context=\n\n",
		port, (unsigned)(r >> 32), host * 4096, 1000 + port,
		login[0] == '\0' ? "" : "PLAIN", login);
}

static void write_foreign(struct plan *plan, uint32_t i, FILE *requests, FILE *answers)
{
	uint32_t other = (i + 1 + random_below(plan, plan->rows - 1)) % plan->rows;
	bool is_listed = random_below(plan, 3) != 0;
	char sender[ADDRESS_SIZE], login[ADDRESS_SIZE];

	format_address(plan, is_listed ? "user" : "stranger", other, "", sender);
	format_owner(plan, i, login);
	write_request(plan, sender, login, requests);
	fprintf(answers, "REJECT 5.7.1 Sender address rejected: not owned by user %s\n", login);
}

static void write_one_kind(struct plan *plan, uint32_t i, FILE *requests, FILE *answers)
{
	char sender[ADDRESS_SIZE], login[ADDRESS_SIZE];

	if (plan->kind == KIND_FOREIGN) {
		write_foreign(plan, i, requests, answers);
		return;
	}
	format_address(plan, "user", i, "", sender);
	format_owner(plan, i, login);
	write_request(plan, sender, login, requests);
	fputs("DUNNO\n", answers);
}

static void write_exchange(struct plan *plan, FILE *requests, FILE *answers)
{
	uint32_t i = random_below(plan, plan->rows);
	uint32_t kind = random_below(plan, 100);
	char sender[ADDRESS_SIZE], login[ADDRESS_SIZE];

	if (kind < 10) {
		write_foreign(plan, i, requests, answers);
		return;
	}
	format_address(plan, "user", i, kind < 20 ? "+lists" : "", sender);
	format_owner(plan, i, login);
	if (kind >= 20 && kind < 25)
		sender[0] = '\0';
	else if (kind >= 25 && kind < 30)
		login[0] = '\0';
	write_request(plan, sender, login, requests);
	fputs("DUNNO\n", answers);
}

static FILE *create(const struct plan *plan, const char *name)
{
	char path[PATH_MAX];
	FILE *file = NULL;

	errno = ENAMETOOLONG;
	if (snprintf(path, sizeof path, "%s/%s", plan->folder, name) < (int)sizeof path)
		file = fopen(path, "we");
	if (file == NULL)
		fprintf(stderr, "gen: %s/%s: %s\n", plan->folder, name, strerror(errno));
	return file;
}

static bool finish(FILE *file)
{
	bool ok = file != NULL && ferror(file) == 0;

	if (file != NULL && fclose(file) != 0)
		ok = false;
	if (!ok)
		perror("gen: writing");
	return ok;
}

static bool generate(struct plan *plan)
{
	FILE *table = create(plan, "table.csv");
	FILE *requests = create(plan, "requests.txt");
	FILE *answers = create(plan, "answers.txt");
	bool ok;

	if (table != NULL)
		write_table(plan, table);
	for (uint32_t n = 0; requests != NULL && answers != NULL && n < plan->requests; n++) {
		if (plan->kind == KIND_MIXED)
			write_exchange(plan, requests, answers);
		else
			write_one_kind(plan, n % plan->rows, requests, answers);
	}
	ok = finish(table);
	ok = finish(requests) && ok;
	return finish(answers) && ok;
}

static bool parse_number(const char *text, unsigned long min, uint32_t *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	*out = (uint32_t)value;
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value >= min &&
	       value <= 100000000;
}

static bool parse_kind(const char *text, enum kind *out)
{
	static const char *const names[] = {"mixed", "own", "foreign"};

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum kind)i;
			return true;
		}
	}
	return false;
}

/* Short enough for ADDRESS_SIZE. */
static bool parse_zone(const char *text, const char **out)
{
	*out = text;
	return *text != '\0' && strlen(text) <= 16;
}

static bool take_option(struct plan *plan, int option, const char *value)
{
	uint32_t seed;

	switch (option) {
	case 'n':
		return parse_number(value, 2, &plan->rows);
	case 'q':
		return parse_number(value, 1, &plan->requests);
	case 'D':
		return parse_number(value, 1, &plan->domains);
	case 's':
		if (!parse_number(value, 0, &seed))
			return false;
		plan->random = seed;
		return true;
	case 'k':
		return parse_kind(value, &plan->kind);
	case 'z':
		return parse_zone(value, &plan->zone);
	case 'o':
		plan->folder = value;
		return true;
	}
	return false;
}

static int print_usage(void)
{
	fputs("usage: gen -n ROWS -q REQUESTS -o FOLDER [-D DOMAINS] [-s SEED]\n"
	      "           [-k mixed|own|foreign] [-z ZONE]\n",
		stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct plan plan = {.zone = "example"};
	int option;

	while ((option = getopt(argc, argv, "n:q:D:s:o:k:z:")) != -1)
		if (option == '?' || !take_option(&plan, option, optarg))
			return print_usage();
	if (optind != argc || plan.rows == 0 || plan.requests == 0 || plan.folder == NULL)
		return print_usage();
	if (plan.domains == 0)
		plan.domains = plan.rows / 100 + 1;
	return generate(&plan) ? 0 : 1;
}
