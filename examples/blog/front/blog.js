// The blog's front. It holds no token and no key: the browser has a cookie that
// no script can read, and sends it along with requests of this page alone.

const $ = (selector, root = document) => root.querySelector(selector);

let session = null; // who is signed in; null for nobody

// api asks the server, and throws what it says is wrong.
async function api(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) {
    return answer.status === 204 ? null : answer.json();
  }
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.title || `The server answers ${answer.status}.`), { status: answer.status });
}

function tell(text) {
  $('#notice').textContent = text;
}

async function whoAmI() {
  try {
    return await api('GET', '/auth/session');
  } catch (problem) {
    if (problem.status === 401) {
      return null;
    }
    throw problem;
  }
}

function holds(scope) {
  return session !== null && session.scopes.includes(scope);
}

function showWho() {
  $('#who').textContent = session ? session.user.name || session.user.email || session.user.id : '';
  $('#sign-in').hidden = session !== null;
  $('#sign-out').hidden = session === null;
  $('#write').hidden = !holds('posts:write');
}

async function showPosts() {
  const posts = await api('GET', '/posts');
  $('#posts').replaceChildren(...posts.map(article));
}

// article shows one post. Its texts are set as text, never as markup.
function article(post) {
  const node = $('#post').content.cloneNode(true);
  $('h2', node).textContent = post.title;
  $('.by', node).textContent = `${post.author}, ${new Date(post.published).toLocaleString()}`;
  $('.text', node).textContent = post.text;
  const remove = $('.delete', node);
  remove.hidden = !holds('posts:write') && !holds('posts:edit');
  remove.addEventListener('click', () => act(async () => {
    await api('DELETE', `/posts/${post.id}`);
    await showPosts();
  }));
  const comments = `/posts/${post.id}/comments`;
  const list = $('.comments', node);
  const show = async () => {
    const items = (await api('GET', comments)).map((comment) => {
      const item = document.createElement('li');
      item.textContent = `${comment.author}: ${comment.text}`;
      return item;
    });
    list.replaceChildren(...items);
  };
  $('details', node).addEventListener('toggle', (event) => {
    if (event.target.open) {
      act(show);
    }
  });
  const form = $('form.comment', node);
  form.hidden = session === null;
  form.addEventListener('submit', (event) => submit(event, async (fields) => {
    await api('POST', comments, fields);
    await show();
  }));
  return node;
}

// act does something and says what went wrong.
async function act(what) {
  try {
    tell('');
    await what();
  } catch (problem) {
    if (problem.status === 401) {
      await start(); // the session has ended
      tell('Please sign in again.');
      return;
    }
    tell(problem.message);
  }
}

function submit(event, send) {
  event.preventDefault();
  const form = event.target;
  act(async () => {
    await send(Object.fromEntries(new FormData(form)));
    form.reset();
  });
}

async function start() {
  session = await whoAmI();
  showWho();
  await showPosts();
}

$('#sign-out').addEventListener('click', () => act(async () => {
  const answer = await fetch('/auth/logout', { method: 'POST', headers: { Accept: 'application/json' } });
  if (!answer.ok) {
    throw new Error('Signing out failed. Please try again.');
  }
  const { location: to } = await answer.json();
  // The browser may keep the page for the back button: as one of nobody.
  session = null;
  showWho();
  $('#write').reset();
  $('#posts').replaceChildren();
  location.assign(to);
}));

$('#write').addEventListener('submit', (event) => submit(event, async (fields) => {
  await api('POST', '/posts', fields);
  await showPosts();
}));

// A page that the browser kept, and shows again with the back button, may speak
// of somebody who has signed out since.
addEventListener('pageshow', (event) => {
  if (event.persisted) {
    location.reload();
  }
});

act(start);
