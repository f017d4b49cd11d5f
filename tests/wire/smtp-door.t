# users: ann=restante postmaster=restante
# delivery: max_errors=100
# badmail: max_items=10 retry_first=3600 retry_max=3600
# fault storage: dlv_prepare * error TEMP
# accepted mail that waits has reached half of the bound: SMTP's door closes; LMTP needs none, as it answers for each recipient
!port smtp
S~ 220 .*
C: EHLO me
S- *
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: 1\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 delivered.*
B: retry 1
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: 2\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 delivered.*
B: retry 2
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: 3\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 delivered.*
B: retry 3
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: 4\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 delivered.*
B: retry 4
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: 5\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 delivered.*
B: retry 5
C: MAIL FROM:<a@x.org>
S: 451 4.3.1 too much mail waits for another try, try again later
C: MAIL FROM:<a@x.org> SIZE=100
S: 451 4.3.1 too much mail waits for another try, try again later
C: RCPT TO:<ann>
S: 503 5.5.1 MAIL first
B: retry 5
C: QUIT
S~ 221 .*
!end
!again
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: x\r\n\r\n.
S: 250 2.1.0 sender ok
S: 250 2.1.5 <ann> recipient ok
S~ 354.*
S: 451 4.3.0 <ann> the mailbox cannot take mail now, try again later
C: QUIT
S~ 221 .*
!end
B: retry 5
M: ann 0
