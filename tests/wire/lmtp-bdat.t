# users: ann=restante ben=restante
# delivery: max_errors=1000 max_size=1k
# RFC 3030: chunks, and what goes wrong with them
!port lmtp
S~ 220 .*
C: LHLO me
S- CHUNKING
C: MAIL FROM:<a@example.org>\r\nRCPT TO:<ann>\r\nRCPT TO:<ben>\r\nBDAT 12\r\nSubject: x\r\nBDAT 3\r\n\r\n.BDAT 0\r\nBDAT 5 LAST\r\n\r\nend\c
S: 250 2.1.0 sender ok
S: 250 2.1.5 <ann> recipient ok
S: 250 2.1.5 <ben> recipient ok
S: 250 2.0.0 12 octets taken
S: 250 2.0.0 3 octets taken
S: 250 2.0.0 0 octets taken
S~ 250 2\.0\.0 <ann> delivered, id \S+
S~ 250 2\.0\.0 <ben> delivered, id \S+
M~ ann \nSubject: x\n\n\.\nend\n$
C: BDAT 5 LAST\r\nMAIL \c
S: 503 5.5.1 MAIL first
C: MAIL FROM:<a@example.org>
S: 250 2.1.0 sender ok
C: BDAT 5\r\nQUIT\n\c
S: 503 5.5.1 RCPT first
C: RCPT TO:<nobody>
S: 550 5.1.1 <nobody> there is no such mailbox here
C: BDAT 6 LAST\r\nQUIT\r\n\c
S: 503 5.5.1 RCPT first
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: BDAT 6\r\nQUIT\r\n\c
S: 250 2.0.0 6 octets taken
C: DATA
S: 503 5.5.1 the message has begun by BDAT
C: RCPT TO:<ben>
S: 503 5.5.1 the message has begun
C: RSET
S: 250 2.0.0 ok
C: MAIL FROM:<a@example.org>\r\nRCPT TO:<ann>\r\nRCPT TO:<ben>\r\nBDAT 5\r\nX: y\nBDAT 4 LAST\r\n\r\nz\n\c
S: 250 2.1.0 sender ok
S: 250 2.1.5 <ann> recipient ok
S: 250 2.1.5 <ben> recipient ok
S: 250 2.0.0 5 octets taken
S: 550 5.6.0 <ann> the message holds an LF without CR (RFC 5321 section 2.3.8)
S: 550 5.6.0 <ben> the message holds an LF without CR (RFC 5321 section 2.3.8)
C: MAIL FROM:<a@example.org>\r\nRCPT TO:<ann>\r\nBDAT 2000\r\n\c
S: 250 2.1.0 sender ok
S: 250 2.1.5 <ann> recipient ok
C* 200 01234567\r\n
S: 250 2.0.0 2000 octets taken
C: BDAT 0 LAST
S: 552 5.3.4 <ann> the message is larger than this server takes
C: MAIL FROM:<a@example.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: BDAT x
S: 501 5.5.4 BDAT needs a number of octets, and perhaps LAST; closing
!end
M: ann 1
M: ben 1
