// The gate of a well known Japanese article on putting Ollama behind API keys, written anew from its description:
// Express and axios, keys in a table of the source, every answer piped through as a stream, CORS at the end.
// Usage: node article.js <port> <upstream>
import axios from 'axios';
import cors from 'cors';
import express from 'express';

const API_KEYS = {
  'bench-key-0123456789abcdef0123456789abcdef': 'bench',
};

const [port, upstream] = process.argv.slice(2);
const app = express();
app.use(express.json());

function authenticate(req, res, next) {
  const apiKey = req.headers['x-api-key'];
  if (!apiKey || !API_KEYS[apiKey]) return res.status(401).json({ error: 'Invalid API key' });
  return next();
}

// oxlint-disable-next-line oxc/no-async-endpoint-handlers -- Express 5 takes a rejected promise to its error handler.
app.use('/api', authenticate, async (req, res) => {
  try {
    const response = await axios({
      method: req.method,
      url: upstream + req.originalUrl,
      data: req.body,
      headers: { 'Content-Type': 'application/json' },
      responseType: 'stream',
    });
    res.status(response.status).set('Content-Type', response.headers['content-type']);
    response.data.pipe(res);
  } catch (error) {
    res.status(error.response?.status ?? 500).json({ error: error.message });
  }
});

app.use(cors());
app.listen(Number(port), '127.0.0.1');
