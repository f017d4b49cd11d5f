# users: ann=restante ben=restante
# delivery: max_errors=100
# fault auth: lookup 1 error DOWN
# fault auth: lookup 2 error TEMP
# fault storage: dlv_begin 1 error DOWN
# fault storage: dlv_rcpt 1 error PERM
# fault storage: dlv_write 3 error NOSPACE
# fault storage: dlv_prepare 2 error TEMP
# fault storage: dlv_commit 2 error UNKNOWN
# a failure of a backend is for the operator to mend: 4xx, and nothing is lost
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<ann>
S: 451 4.4.3 <ann> accounts cannot be looked up now, try again later
C: RCPT TO:<ann>
S: 451 4.4.3 <ann> accounts cannot be looked up now, try again later
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: RCPT TO:<ben>
S: 250 2.1.5 <ben> recipient ok
C: DATA\r\nSubject: x\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S: 451 4.3.0 <ann> the mail store cannot be reached, try again later
S: 451 4.3.0 <ben> the mail store cannot be reached, try again later
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nRCPT TO:<ben>\r\nDATA\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 250 2.1.5.*
S~ 354.*
S: 451 4.3.5 <ann> the mail store refuses to be written; the postmaster can see why
S~ 250 2\.0\.0 <ben> delivered, id .*
M: ann 0
M: ben 1
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 452 4\.3\.1 <ann> no space left.*|250 2\.0\.0 .*
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 451 4\.3\.0 <ann> the mailbox cannot take mail now.*
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S: 451 4.3.0 <ann> whether it was stored is not known; it may come twice
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 .*
C: QUIT
S~ 221 .*
!end
