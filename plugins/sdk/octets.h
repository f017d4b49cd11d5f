/* SPDX-License-Identifier: Apache-2.0 */
/* octets - the size of stored bytes on the wire (module.h, MAIL AS BYTES), counted piece by piece,
 * and other facts that the same pass yields. Pure. */
#ifndef SDK_OCTETS_H
#define SDK_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sdk_octets {
	uint64_t stored;  /* bytes seen */
	uint64_t bare_lf; /* line ends that will become CRLF */
	bool last_cr;
	bool last_lf;
	bool header_done;
	bool utf8_header; /* a byte above 0x7F in the header */
	bool at_bol;
	bool header_cr; /* the header's last byte was a CR */
};

void sdk_octets_init(struct sdk_octets *o);
void sdk_octets_feed(struct sdk_octets *o, const void *p, size_t n);
/* The octets on the wire of everything that was fed; a missing last line end is counted. */
uint64_t sdk_octets_total(const struct sdk_octets *o);

#endif
