# users: ann=restante
# delivery: max_errors=100
# listener: xclient=192.0.2.7 xclient=127.0.0.0/8
# listed hosts speak for others; the session begins anew with the greeting
!port lmtp
S~ 220 .*
C: LHLO front
S- XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT
C: XCLIENT
S: 501 5.5.4 XCLIENT: expected NAME=value
C: XCLIENT ADDR
S: 501 5.5.4 XCLIENT: expected NAME=value
C: XCLIENT ADDR=elsewhere
S: 501 5.5.4 XCLIENT: an attribute that is not known, or makes no sense
C: XCLIENT FOO=bar
S: 501 5.5.4 XCLIENT: an attribute that is not known, or makes no sense
C: XCLIENT HELO=a+
S: 501 5.5.4 XCLIENT: expected NAME=value
C: XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PROTO=ESMTP HELO=far+2Eaway
S~ 220 .* LMTP restante
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: XCLIENT ADDR=192.0.2.1
S: 503 5.5.1 not in the midst of a message
C: RCPT TO:<ann>
S~ 250 2.1.5.*
C: DATA
S~ 354.*
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 .*
M~ ann Received: from far\.away \(\[IPv6:2001:db8::1\]\)\n
# a name as the client gave it to the listed host
C: XCLIENT ADDR=192.0.2.1 HELO=my+20h+C3+BCge(box
S~ 220 .* LMTP restante
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 .*
M~ ann Received: from my\?h\?\?ge\?box \(\[192.0.2.1\]\)\n
C: QUIT
S~ 221 .*
!end
