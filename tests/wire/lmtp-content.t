# users: ann=restante
# delivery: max_header=1k max_received=3 max_errors=100
# content that is refused by default: bare LF and CR, NUL; and that is not: long lines, 8-bit
!port lmtp
S~ 220 .*
C: LHLO me\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S- *
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\na\nb\r\n.
S: 550 5.6.0 <ann> the message holds an LF without CR (RFC 5321 section 2.3.8)
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\na\rb\r\n.
S: 550 5.6.0 <ann> the message holds a CR without LF (RFC 5321 section 2.3.8)
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\na\0b\r\n.
S: 550 5.6.0 <ann> the message holds an octet of value 0 (RFC 5321 section 4.5.2)
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Received: 1\r\nReceived: 2\r\n folded\r\nRECEIVED : 3\r\nReceived: 4\r\n\r\n.
S: 554 5.4.6 <ann> the message has come through too many servers: it goes round in circles
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\nReceived: 1\r\nReceived: 2\r\nReceived: 3\r\n\r\nReceived: 4\r\nReceived: 5\r\n.
S~ 250 2\.0\.0 .*
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C* 103 X: 34567\r\n
C* 103 X: 34567\r\n
C: .
S: 552 5.3.4 <ann> the header of the message is larger than this server takes
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C* 1100 X
C: \r\n.
S: 552 5.3.4 <ann> the header of the message is larger than this server takes
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\n\xe4\xf6
C* 2000 y
C: \r\n.
S~ 250 2\.0\.0 .*
M~ ann \nSubject: x\n\n\xe4\xf6\n
# a loop: delivered to ann before; but a line above all Received lines is the client's own
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Received: x\r\nDelivered-To: ANN\r\n\r\n.
S: 554 5.4.6 <ann> the message was delivered here before: it goes round in circles
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Received: x\r\nDelivered-To:\r\n <ann>\r\n\r\n.
S: 554 5.4.6 <ann> the message was delivered here before: it goes round in circles
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Received: x\r\nDelivered-To: "a\\nn"\r\n.
S: 554 5.4.6 <ann> the message was delivered here before: it goes round in circles
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Received: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\n.
S: 554 5.4.6 <ann> the message has come through too many servers: it goes round in circles
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Delivered-To: ann\r\nReceived: x\r\nDelivered-To: <ben>\r\n\r\nDelivered-To: ann\r\n.
S~ 250 2\.0\.0 .*
C: QUIT
S~ 221 .*
!end
M: ann 3
