/*
 * The bounded scan of a DNS packet.
 *
 * A small reader with a sticky error: every read is checked, a read past the end says 0 and marks
 * the reader failed, so that who reads asks once, at the end. Knows no names as text and no meaning
 * of records. Fails on everything that is not as the header says.
 */
#include "policy/core/wire_scan.h"

#include "policy/core/address.h"

enum wire_type { TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_TXT = 16, TYPE_OPT = 41 };

#define CLASS_IN      1
#define SOA_NUMBERS   20 /* bytes of the five numbers behind the two names */
#define POINTER_BITS  0xc0
#define LABEL_MAX     63
#define QUESTION_TAIL 4 /* type and class */
#define COUNTS_AT     6 /* ANCOUNT, NSCOUNT, ARCOUNT */

struct reader {
	const uint8_t *bytes;
	size_t at, end;
	bool has_failed;
};

static struct reader reader_of(struct text t, size_t from)
{
	return (struct reader){(const uint8_t *)t.ptr, from, t.len, from > t.len};
}

static void skip(struct reader *r, size_t len)
{
	if (r->has_failed || len > r->end - r->at)
		r->has_failed = true;
	else
		r->at += len;
}

static uint8_t read_u8(struct reader *r)
{
	size_t at = r->at;

	skip(r, 1);
	return r->has_failed ? 0 : r->bytes[at];
}

static uint16_t read_u16(struct reader *r)
{
	unsigned high = read_u8(r);

	return (uint16_t)(high << 8 | read_u8(r));
}

static uint32_t read_u32(struct reader *r)
{
	uint32_t high = read_u16(r);

	return high << 16 | read_u16(r);
}

/* What a pointer leads to lies whole before everything read so far of its name: so no loop. */
static void follow_pointer(struct reader *r, uint8_t first, size_t *lowest)
{
	size_t target = (size_t)(first & ~POINTER_BITS) << 8 | read_u8(r);

	if (target < WIRE_HEADER || target >= *lowest)
		r->has_failed = true;
	r->end = *lowest;
	*lowest = r->at = target;
}

static void skip_name(struct reader *r)
{
	struct reader name = *r;
	size_t lowest = r->at, behind = 0, hops = 0, len = 0;
	uint8_t first;

	do {
		first = read_u8(&name);
		if ((first & POINTER_BITS) == POINTER_BITS) {
			behind = behind ? behind : name.at + 1;
			follow_pointer(&name, first, &lowest);
			name.has_failed |= ++hops > WIRE_HOPS_MAX;
		} else {
			len += (size_t)first + 1;
			skip(&name, first);
			name.has_failed |= first > LABEL_MAX || len > WIRE_NAME_MAX;
		}
	} while (first != 0 && !name.has_failed);
	r->has_failed |= name.has_failed;
	r->at = behind ? behind : name.at;
}

static void skip_strings(struct reader *r)
{
	size_t strings = 0, bytes = 0;

	do {
		uint8_t len = read_u8(r);

		skip(r, len);
		bytes += len;
		r->has_failed |= ++strings > WIRE_STRINGS_MAX || bytes > WIRE_TEXT_MAX;
	} while (r->at < r->end && !r->has_failed);
}

/* False: not one of the types that are looked into. */
static bool skip_rdata(struct reader *r, uint16_t type)
{
	switch (type) {
	case TYPE_TXT:
		skip_strings(r);
		return true;
	case TYPE_CNAME:
	case TYPE_NS:
		skip_name(r);
		return true;
	case TYPE_SOA:
		skip_name(r);
		skip_name(r);
		skip(r, SOA_NUMBERS);
		return true;
	default:
		return false;
	}
}

struct record {
	size_t name_at, type_at, rdata_at;
	uint16_t type, class;
	uint32_t ttl;
	struct reader rdata;
};

static void read_record(struct reader *r, struct record *record)
{
	size_t len;

	record->name_at = r->at;
	skip_name(r);
	record->type_at = r->at;
	record->type = read_u16(r);
	record->class = read_u16(r);
	record->ttl = read_u32(r);
	len = read_u16(r);
	record->rdata = *r;
	record->rdata_at = r->at;
	skip(r, len);
	record->rdata.end = r->at;
}

/* The type is changed before any later name is read: one that points there is read as it will stand
 * in the end. */
static void make_opaque(uint8_t *packet, const struct record *record)
{
	packet[record->type_at] = WIRE_OPAQUE >> 8;
	packet[record->type_at + 1] = WIRE_OPAQUE & 0xff;
}

/* Whether it is a TXT record of the name asked for, and says so by a pointer. */
static bool is_plain(const struct record *record, const uint8_t *packet)
{
	return record->type == TYPE_TXT && record->class == CLASS_IN &&
	       record->type_at - record->name_at == 2 && packet[record->name_at] == POINTER_BITS &&
	       packet[record->name_at + 1] == WIRE_HEADER;
}

static void note_plain(const struct record *record, const uint8_t *packet, struct wire_facts *facts)
{
	struct text strings = {
		(const char *)packet + record->rdata_at, record->rdata.end - record->rdata_at};

	if (is_plain(record, packet))
		facts->plain[facts->plain_count++] = (struct wire_txt){record->ttl, strings};
}

/* facts: NULL, or hears of the plain records. */
static void scan_section(struct reader *r, size_t count, uint8_t *packet, struct wire_facts *facts)
{
	struct record record;

	while (count-- > 0 && !r->has_failed) {
		read_record(r, &record);
		if (r->has_failed)
			return;
		if (record.class != CLASS_IN || !skip_rdata(&record.rdata, record.type))
			make_opaque(packet, &record);
		else
			r->has_failed = record.rdata.has_failed || record.rdata.at != r->at;
		if (facts && !r->has_failed)
			note_plain(&record, packet, facts);
	}
}

static void scan_additional(struct reader *r, size_t count, struct wire_facts *facts)
{
	struct record record;

	while (count-- > 0 && !r->has_failed) {
		read_record(r, &record);
		/* Without these bits BADVERS would read as NOERROR. */
		if (!r->has_failed && record.type == TYPE_OPT)
			facts->rcode |= (record.ttl >> 24) << 4;
	}
}

/* What stands before the counts. */
static void read_flags(struct reader *r, struct wire_head *head)
{
	uint16_t flags;

	head->id = read_u16(r);
	flags = read_u16(r);
	head->is_response = flags & 0x8000;
	head->opcode = (uint8_t)(flags >> 11 & 0xf);
	head->is_authoritative = flags & 0x0400;
	head->is_truncated = flags & 0x0200;
	head->is_authentic = flags & 0x0020;
	head->rcode = (uint8_t)(flags & 0xf);
	head->question = (struct text){0};
}

bool wire_head_bare(struct text packet, struct wire_head *head)
{
	struct reader r = reader_of(packet, 0);
	bool is_bare = packet.len == WIRE_HEADER;

	read_flags(&r, head);
	while (is_bare && r.at < r.end)
		is_bare = read_u16(&r) == 0;
	return is_bare;
}

bool wire_head_read(struct text packet, struct wire_head *head)
{
	struct reader r = reader_of(packet, 0);

	read_flags(&r, head);
	if (read_u16(&r) != 1)
		return false;
	skip(&r, WIRE_HEADER - r.at);
	/* The first name of a packet has nothing to point to. */
	skip_name(&r);
	skip(&r, QUESTION_TAIL);
	if (r.has_failed)
		return false;
	head->question = text_head(text_tail(packet, WIRE_HEADER), r.at - WIRE_HEADER);
	return true;
}

bool wire_scan(uint8_t *packet, size_t len, struct wire_facts *facts)
{
	struct text whole = {(const char *)packet, len};
	struct reader r = reader_of(whole, COUNTS_AT);
	size_t answers = read_u16(&r), authorities = read_u16(&r), additionals = read_u16(&r);
	struct wire_head head;

	if (len > WIRE_MAX || answers + authorities + additionals > WIRE_RECORDS_MAX ||
		!wire_head_read(whole, &head))
		return false;
	facts->rcode = head.rcode;
	skip(&r, head.question.len);
	facts->plain_count = 0;
	scan_section(&r, answers, packet, facts);
	/* Among others, a CNAME say, they may not be what is asked for. */
	if (facts->plain_count != answers)
		facts->plain_count = 0;
	scan_section(&r, authorities, packet, NULL);
	facts->end = r.at;
	scan_additional(&r, additionals, facts);
	packet[WIRE_HEADER - 2] = packet[WIRE_HEADER - 1] = 0;
	return !r.has_failed;
}

/* Length bytes are below 64 and so never a letter. Most servers send a name back as it came. */
bool wire_name_equal(struct text a, struct text b)
{
	return text_equal(a, b) || text_equal_no_case(a, b);
}

bool wire_name_is_within(struct text name, struct text zone)
{
	while (name.len > zone.len) {
		size_t label = (size_t)(uint8_t)name.ptr[0] + 1;

		if (label > name.len)
			return false;
		name = text_tail(name, label);
	}
	return wire_name_equal(name, zone);
}
