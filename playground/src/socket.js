// The connection to the server: questions with one answer, jobs with several, and news that nobody asked for.

export class Link {
  constructor(address, { news, state }) {
    this.address = address;
    this.news = news; // called with what is told unasked
    this.state = state; // called with "open", "lost" or "refused"
    this.number = 0;
    this.waiting = new Map(); // questions by number
    this.jobs = new Map(); // jobs by number
    this.tries = 0;
    this.connect();
  }

  connect() {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.tries = 0;
      this.state("open");
    };
    socket.onmessage = ({ data }) => this.hear(typeof data === "string" ? JSON.parse(data) : unpack(data));
    socket.onclose = ({ reason }) => {
      for (const { reject } of this.waiting.values()) reject(new Error("the connection was lost"));
      for (const done of this.jobs.values()) done({ lost: true, done: true });
      this.waiting.clear();
      this.jobs.clear();
      this.tries += 1;
      this.state(!opened && this.tries > 3 ? "refused" : "lost", reason);
      setTimeout(() => this.connect(), Math.min(500 * this.tries, 4000));
    };
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  hear(message) {
    const job = this.jobs.get(message.id);
    if (job) {
      if (message.done) this.jobs.delete(message.id);
      job(message);
      return;
    }
    const question = this.waiting.get(message.id);
    if (question) {
      this.waiting.delete(message.id);
      question.resolve(message);
    } else if (message.id === undefined || message.id === null) {
      this.news(message);
    }
  }

  tell(what, fields = {}) {
    if (this.open) this.socket.send(JSON.stringify({ do: what, ...fields }));
  }

  ask(what, fields = {}) {
    return new Promise((resolve, reject) => {
      if (!this.open) {
        reject(new Error("the connection was lost"));
        return;
      }
      const id = ++this.number;
      this.waiting.set(id, { resolve, reject });
      this.tell(what, { ...fields, id });
    });
  }

  // Calls `each` with every answer; the last one has `done`.
  job(what, fields, each) {
    if (!this.open) {
      each({ lost: true, done: true });
      return;
    }
    const id = ++this.number;
    this.jobs.set(id, each);
    this.tell(what, { ...fields, id });
  }
}

// The length of the header, the header as JSON, and the parts that it names.
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  message.data = {};
  for (const [name, size] of message.parts) {
    message.data[name] = buffer.slice(at, at + size);
    at += size;
  }
  return message;
}
