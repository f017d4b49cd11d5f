/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "base/num.h"

#define V1_MAX 107 /* with its CRLF */
#define V2_HEAD 16
#define TLV_AUTHORITY 0x02
#define TLV_CRC32C 0x03
#define TLV_SSL 0x20
#define SSL_CLIENT 0x01 /* the client connected over TLS */

static enum proxy_result
proxy_bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return PROXY_BAD;
}

/* ---- version 1: a line ----------------------------------------------------------------------- */

static void
set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

static bool
set_address(struct sockaddr_storage *sa, int family, const void *addr)
{
	sa->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		memcpy(&((struct sockaddr_in *)sa)->sin_addr, addr, 4);
	else
		memcpy(&((struct sockaddr_in6 *)sa)->sin6_addr, addr, 16);
	return true;
}

struct words {
	const char *p;
	size_t n;
};

/* The next word; they are separated by one space. NULL: no more. */
static const char *
next_word(struct words *rest, size_t *ret_n)
{
	const char *word = rest->p, *space = memchr(rest->p, ' ', rest->n);
	size_t n = space ? (size_t)(space - word) : rest->n;

	if (rest->n == 0)
		return NULL;
	rest->p += space ? n + 1 : n;
	rest->n -= space ? n + 1 : n;
	*ret_n = n;
	return word;
}

static bool
v1_address(struct words *rest, int family, struct sockaddr_storage *ret)
{
	unsigned char addr[16];
	char text[64];
	size_t n;
	const char *word = next_word(rest, &n);

	if (!word || n >= sizeof(text))
		return false;
	memcpy(text, word, n);
	text[n] = '\0';
	return strlen(text) == n && inet_pton(family, text, addr) == 1 &&
	       set_address(ret, family, addr);
}

static bool
v1_port(struct words *rest, struct sockaddr_storage *ret)
{
	uint64_t port;
	size_t n;
	const char *word = next_word(rest, &n);

	if (!word || (n > 1 && word[0] == '0') || !num_parse(word, n, UINT16_MAX, &port))
		return false;
	set_port(ret, (uint16_t)port);
	return true;
}

/* After "PROXY ", without CRLF. */
static bool
v1_words(struct words rest, struct proxy_header *ret)
{
	size_t n = 0;
	const char *word = next_word(&rest, &n);
	int family = n == 4 && memcmp(word, "TCP4", 4) == 0 ? AF_INET : AF_INET6;

	if (n == 7 && memcmp(word, "UNKNOWN", 7) == 0) {
		ret->local = true; /* whatever comes after it */
		return true;
	}
	if (n != 4 || memcmp(word, family == AF_INET ? "TCP4" : "TCP6", 4) != 0)
		return false;
	return v1_address(&rest, family, &ret->from) && v1_address(&rest, family, &ret->to) &&
	       v1_port(&rest, &ret->from) && v1_port(&rest, &ret->to) && rest.n == 0 &&
	       rest.p[-1] != ' ';
}

static enum proxy_result
v1_parse(const char *p, size_t n, struct proxy_header *ret, const char **ret_why)
{
	static const char begin[] = "PROXY ";
	const char *lf = memchr(p, '\n', n < V1_MAX ? n : V1_MAX);
	size_t same = n < 6 ? n : 6;

	if (memcmp(p, begin, same) != 0)
		return proxy_bad(ret_why, "it begins like no PROXY header");
	if (!lf && n < V1_MAX)
		return PROXY_MORE;
	if (!lf || lf[-1] != '\r')
		return proxy_bad(ret_why, "a line of version 1 ends in CRLF within 107 octets");
	ret->n = (size_t)(lf - p) + 1;
	if (ret->n < 8 || !v1_words((struct words){p + 6, ret->n - 8}, ret))
		return proxy_bad(
			ret_why,
			"expected TCP4, TCP6 or UNKNOWN, two addresses and two ports in version 1");
	return PROXY_DONE;
}

/* ---- version 2: binary ----------------------------------------------------------------------- */

/* CRC-32C (Castagnoli) of RFC 9260 appendix A; `hole`: 4 octets that count as zero. */
static uint32_t
proxy_crc32c(const unsigned char *p, size_t n, const unsigned char *hole)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p + i >= hole && p + i < hole + 4 ? 0 : p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static uint32_t
proxy_be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One TLV whose value is there in full; false: it is malformed. */
static bool
tlv_take(const unsigned char *head, size_t head_n, const unsigned char *value, unsigned type,
	 size_t n, struct proxy_header *ret)
{
	switch (type) {
	case TLV_CRC32C:
		return n == 4 && proxy_crc32c(head, head_n, value) == proxy_be32(value);
	case TLV_AUTHORITY:
		if (n >= sizeof(ret->authority))
			return false;
		memcpy(ret->authority, value, n);
		ret->authority[n] = '\0';
		return true;
	case TLV_SSL: /* one octet of flags, four of the verification's result, more TLVs that
			 nobody needs here */
		ret->tls = n >= 5 && (value[0] & SSL_CLIENT);
		return n >= 5;
	default:
		return true;
	}
}

static bool
tlvs_parse(const unsigned char *head, size_t head_n, const unsigned char *p,
	   struct proxy_header *ret)
{
	const unsigned char *end = head + head_n;

	while (p < end) {
		size_t n;

		if (end - p < 3)
			return false;
		n = (size_t)p[1] << 8 | p[2];
		if ((size_t)(end - p) - 3 < n || !tlv_take(head, head_n, p + 3, p[0], n, ret))
			return false;
		p += 3 + n;
	}
	return true;
}

/* The client's and the server's address, 4 or 16 octets each, then their ports. */
static const unsigned char *
v2_addresses(const unsigned char *p, int family, struct proxy_header *ret)
{
	size_t n = family == AF_INET ? 4 : 16;

	(void)set_address(&ret->from, family, p);
	(void)set_address(&ret->to, family, p + n);
	p += 2 * n;
	set_port(&ret->from, (uint16_t)(p[0] << 8 | p[1]));
	set_port(&ret->to, (uint16_t)(p[2] << 8 | p[3]));
	return p + 4;
}

static enum proxy_result
v2_body(const unsigned char *p, struct proxy_header *ret, const char **ret_why)
{
	static const size_t sizes[] = {0, 12, 36, 216}; /* UNSPEC, INET, INET6, UNIX */
	unsigned command = p[12] & 15u, family = p[13] >> 4, transport = p[13] & 15u;
	const unsigned char *tlvs = p + V2_HEAD;

	if (command == 0) {
		ret->local = true; /* its block is ignored, whatever it holds */
		return PROXY_DONE;
	}
	if (command != 1 || family > 3 || transport > 2)
		return proxy_bad(ret_why, "an unknown command or family in version 2");
	if (family != 0 && transport != 1)
		return proxy_bad(ret_why, "version 2 speaks of something else than a stream");
	if (ret->n < V2_HEAD + sizes[family])
		return proxy_bad(ret_why, "version 2 is too short for its addresses");
	ret->local = family == 0 || family == 3;
	if (!ret->local)
		(void)v2_addresses(tlvs, family == 1 ? AF_INET : AF_INET6, ret);
	tlvs += sizes[family];
	if (!tlvs_parse(p, ret->n, tlvs, ret))
		return proxy_bad(ret_why, "a TLV of version 2 is cut, or its CRC32c is wrong");
	return PROXY_DONE;
}

static enum proxy_result
v2_parse(const unsigned char *p, size_t n, struct proxy_header *ret, const char **ret_why)
{
	static const unsigned char signature[] = "\r\n\r\n\0\r\nQUIT\n";

	if (memcmp(p, signature, n < 12 ? n : 12) != 0)
		return proxy_bad(ret_why, "it begins like no PROXY header");
	if (n > 12 && p[12] >> 4 != 2)
		return proxy_bad(ret_why, "an unknown version");
	if (n < V2_HEAD)
		return PROXY_MORE;
	ret->n = V2_HEAD + ((size_t)p[14] << 8 | p[15]);
	if (ret->n > PROXY_MAX)
		return proxy_bad(ret_why, "it is longer than 4096 octets");
	return n < ret->n ? PROXY_MORE : v2_body(p, ret, ret_why);
}

enum proxy_result
proxy_parse(const void *p, size_t n, struct proxy_header *ret, const char **ret_why)
{
	memset(ret, 0, sizeof(*ret));
	if (n == 0)
		return PROXY_MORE;
	return *(const char *)p == 'P' ? v1_parse(p, n, ret, ret_why)
				       : v2_parse(p, n, ret, ret_why);
}
